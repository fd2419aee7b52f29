// pm2 process ai-admin-worker-v2: in database mode it removes expired keys, 5 s after its start
// and then every 6 hours. (The real worker also runs jobs; they do not touch the login.)
import { config } from './config.js';
import { guardConsole } from './log.js';
import { closeDatabase, database } from './auth/database.js';

const FIRST_CLEANUP_MS = 5_000;
const CLEANUP_EVERY_MS = 6 * 60 * 60 * 1000;

async function cleanup() {
  console.log('🧹 Starting automatic cleanup of expired WhatsApp keys...');
  try {
    const { rows } = await database().query('SELECT cleanup_expired_whatsapp_keys() AS deleted');
    console.log(`✅ Automatic cleanup completed: ${rows[0].deleted} expired keys deleted`);
  } catch (error) {
    console.error(`❌ Automatic cleanup failed: ${error.message}`);
  }
}

guardConsole();
console.log('🚀 ai-admin worker v2 started');

let first;
let later;
if (config.store === 'database') {
  console.log('🤖 Database auth state enabled - starting automatic cleanup');
  first = setTimeout(cleanup, FIRST_CLEANUP_MS);
  later = setInterval(cleanup, CLEANUP_EVERY_MS);
} else {
  console.log('📁 Using file auth state - no automatic cleanup');
  later = setInterval(() => {}, CLEANUP_EVERY_MS); // the worker stays up
}

// For tests: the cleanup now, as its timer would call it.
process.on('SIGUSR2', () => { if (config.store === 'database') cleanup(); });

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    clearTimeout(first);
    clearInterval(later);
    await closeDatabase();
    console.log('👋 ai-admin worker v2 stopped');
    process.exit(0);
  });
}

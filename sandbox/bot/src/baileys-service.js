// pm2 process baileys-service: owns the logins. Opens each company's, sends and receives its
// messages, and tells over HTTP on loopback how it is.
import { createServer } from 'node:http';
import { companies } from './auth/index.js';
import { closeDatabase } from './auth/database.js';
import { config } from './config.js';
import { guardConsole } from './log.js';
import { Bot } from './whatsapp/bot.js';

guardConsole();
console.log('🚀 baileys-service started');

const bots = new Map();
let ready = false;

const server = createServer(serve);
server.listen(config.healthPort, '127.0.0.1');

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stop(0));

try {
  for (const companyId of await companies()) {
    const bot = new Bot(companyId);
    await bot.start();
    bots.set(companyId, bot);
  }
  ready = true;
} catch (error) {
  console.error(`❌ Failed to load credentials: ${error.message}`);
  await stop(1);
}

async function stop(exitCode) {
  ready = false;
  server.close();
  await Promise.all([...bots.values()].map((bot) => bot.close()));
  await closeDatabase();
  console.log('👋 baileys-service stopped');
  process.exit(exitCode);
}

async function serve(request, response) {
  const url = new URL(request.url, 'http://localhost');
  try {
    const [status, body] = await route(`${request.method} ${url.pathname}`, url.searchParams, request);
    answer(response, status, body);
  } catch (error) {
    answer(response, 503, { error: error.message });
  }
}

async function route(path, query, request) {
  switch (path) {
    case 'GET /health':
      return ready
        ? [200, { status: 'ok', companies: [...bots.values()].map((bot) => bot.health) }]
        : [503, { status: 'starting', companies: [] }];
    case 'POST /send': {
      const { phone, message, company_id: companyId } = JSON.parse(await text(request));
      if (!phone || !message) return [400, { error: 'phone and message are needed' }];
      return [200, { id: await botOf(companyId).send(phone, message) }];
    }
    case 'GET /last-response':
      return [200, { response: botOf(query.get('company_id')).lastResponse(query.get('phone')) ?? null }];
    default:
      return [404, { error: 'not found' }];
  }
}

/** The company asked for, or the first that is connected. */
function botOf(companyId) {
  const all = [...bots.values()];
  const bot = companyId ? bots.get(companyId) : all.find(({ connection }) => connection === 'open') ?? all[0];
  if (!bot) throw new Error('No such company');
  return bot;
}

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

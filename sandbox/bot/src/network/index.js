// Entry of the process `whatsapp-network`. It is no part of the app: it keeps its own folder of
// state and outlives the bot.
import { guardConsole } from '../log.js';
import { Network } from './server.js';

const { NETWORK_STATE_DIR: stateDir, NETWORK_PORT: port = '3901' } = process.env;

guardConsole();
if (!stateDir) throw new Error('NETWORK_STATE_DIR names no folder');
const network = new Network(stateDir);
console.log(`📡 Simulated WhatsApp network on 127.0.0.1, port ${await network.listen(Number(port))}`);

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await network.close();
    process.exit(0);
  });
}

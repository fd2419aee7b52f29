// Has the contacts write to a login at a steady rate, then prints as JSON what became of each
// message. SIGINT or SIGTERM ends the sending early; the account is still made.
//
//   node scripts/traffic.js [--network http://127.0.0.1:3901] [--rate 30] [--seconds 20] [--login 79990962302]
//
// Exit code 1: a message was lost, or could not be decrypted.
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    network: { type: 'string', default: process.env.NETWORK_URL || 'http://127.0.0.1:3901' },
    rate: { type: 'string', default: '30' },
    seconds: { type: 'string', default: '20' },
    login: { type: 'string' },
  },
});

async function call(path, body) {
  const response = await fetch(`${options.network}${path}`, body && { method: 'POST', body: JSON.stringify(body) });
  const result = await response.json();
  if (!response.ok) throw new Error(result.error);
  return result;
}

const { id } = await call('/traffic', { login: options.login, rate: options.rate, seconds: options.seconds });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => call(`/traffic/${id}`, {}));

let run;
do {
  await pause(500);
  run = await call(`/traffic/${id}`);
} while (!run.finished);

console.log(JSON.stringify(run, null, 2));
process.exitCode = run.failed || run.waiting || run.answers_unreadable ? 1 : 0;

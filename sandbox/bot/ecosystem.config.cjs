// pm2 definitions. Settings and secrets come from .env, never from here: pm2 would store them.
const shared = {
  cwd: __dirname,
  exec_mode: 'fork',
  watch: false,
  // Time to finish the message at hand and to close the stores; pm2's 1.6 s can tear a file.
  kill_timeout: 10_000,
};

module.exports = {
  apps: [
    { ...shared, name: 'ai-admin-worker-v2', script: 'src/worker.js' },
    { ...shared, name: 'baileys-service', script: 'src/baileys-service.js' },
  ],
};

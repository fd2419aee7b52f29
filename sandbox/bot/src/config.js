// Every setting of the app, read once from .env in the working directory. dotenv never
// overrides a variable that the process already has: a flag stored in pm2 beats .env.
import dotenv from 'dotenv';

dotenv.config({ quiet: true });

const list = (value) => (value ?? '').split(',').map((item) => item.trim()).filter(Boolean);

export const config = {
  /** "files" or "database": where the logins are. */
  store: process.env.USE_DATABASE_AUTH_STATE === 'true' ? 'database' : 'files',
  databaseUrl: process.env.DATABASE_URL,
  sessionsDir: process.env.SESSIONS_DIR || 'baileys_sessions',
  /** Empty: all companies found. */
  companyIds: list(process.env.COMPANY_IDS),
  healthPort: Number(process.env.HEALTH_PORT || 3900),
  /** Unset: the logins are opened, and nothing is sent or received. */
  networkUrl: process.env.NETWORK_URL,
};

// Prints the identity digest that the bot's health endpoint tells: identity.mjs <company>, with DATABASE_URL.
import { identityDigest } from './src/auth/index.js';
import { closeDatabase, useDatabaseAuthState } from './src/auth/database.js';

const { state } = await useDatabaseAuthState(process.argv[2]);
process.stdout.write(identityDigest(state.creds));
await closeDatabase();

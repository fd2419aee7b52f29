// A message that was decrypted by a process that died before it could acknowledge it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { useMultiFileAuthState } from 'baileys';
import { guardConsole } from '../src/log.js';
import { Journal } from '../src/network/journal.js';
import { DECRYPTED_BEFORE } from '../src/network/traffic.js';
import { World } from '../src/network/world.js';
import { plain } from '../src/whatsapp/message.js';
import { DecryptionError, Party } from '../src/whatsapp/party.js';
import { COMPANY, CONTACT, makeLoginIn } from './helpers.js';

test('it is known again, of whatever kind, and told from one that cannot be decrypted', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'bot-'));
  t.after(() => rmSync(folder, { recursive: true }));
  makeLoginIn(folder, folder);
  guardConsole();
  const world = new World(new Journal(join(folder, 'network.ndjson')));
  const { state } = await useMultiFileAuthState(join(folder, `company_${COMPANY}`));
  const login = world.login(state.creds.me.id);
  const party = new Party(state, (node) => world.answer(node, login));
  t.after(() => party.close());

  const [{ id: group, members: [member] }] = world.groups(login);
  for (const [kind, contact, chat] of [['msg', world.contact(CONTACT)], ['pkmsg', world.contact('79960000001')], ['skmsg', member, group]]) {
    const item = await world.write(contact, login, plain(kind), { chat });
    const stanza = await world.deliver(login, item);
    assert.equal(stanza.content.at(-1).attrs.type, kind);
    assert.equal((await party.decrypt(stanza)).message.conversation, kind);
    await assert.rejects(party.decrypt(stanza), (error) => error instanceof DecryptionError && DECRYPTED_BEFORE.test(error.message), kind);
  }

  const damaged = await world.deliver(login, await world.write(world.contact(CONTACT), login, plain('damaged')));
  damaged.content[0].content[damaged.content[0].content.length - 1] ^= 1;
  await assert.rejects(party.decrypt(damaged), (error) => /Bad MAC/.test(error.message) && !DECRYPTED_BEFORE.test(error.message));
});

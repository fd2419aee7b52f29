// A simulated WhatsApp user: a phone with a Signal identity of its own. Its keys live in the
// network's journal; it decrypts what the bot sends and answers, encrypted.
import { BufferJSON, getNextPreKeys, initAuthCreds, jidDecode } from 'baileys';
import { Party } from '../whatsapp/party.js';

const encode = (value) => JSON.stringify(value, BufferJSON.replacer);
const decode = (text) => JSON.parse(text, BufferJSON.reviver);

function journalKeys(journal, name) {
  const path = (type, id) => `contact-key/${name}/${type}/${id}`;
  return {
    get(type, ids) {
      const found = ids.map((id) => [id, journal.get(path(type, id))]).filter(([, text]) => text);
      return Object.fromEntries(found.map(([id, text]) => [id, decode(text)]));
    },
    set(data) {
      for (const [type, entries] of Object.entries(data)) {
        for (const [id, value] of Object.entries(entries)) journal.set(path(type, id), value ? encode(value) : null);
      }
    },
  };
}

export class Contact extends Party {
  #journal;

  /** @param me {id, lid?}: phone number and LID, as in Baileys' creds; the name is the key in the journal */
  static create(journal, name, me, query) {
    const contact = new Contact(journal, name, { ...initAuthCreds(), me }, query);
    contact.#save();
    return contact;
  }

  static restore(journal, name, stored, query) {
    return new Contact(journal, name, decode(stored), query);
  }

  constructor(journal, name, creds, query) {
    super({ creds, keys: journalKeys(journal, name) }, query);
    this.name = name;
    this.#journal = journal;
  }

  /** The numbers by which others may address it. */
  get users() {
    const { id, lid } = this.creds.me;
    return [id, lid].filter(Boolean).map((jid) => jidDecode(jid).user);
  }

  /** The phone number's jid; a contact that is known by its LID alone has none. */
  get pn() {
    const decoded = jidDecode(this.creds.me.id);
    return decoded.server.endsWith('lid') ? undefined : `${decoded.user}@s.whatsapp.net`;
  }

  /** A fresh one-time pre-key: [id, key pair]. */
  async nextPreKey() {
    const { update, preKeys } = await getNextPreKeys(this, 1);
    Object.assign(this.creds, update);
    this.#save();
    return Object.entries(preKeys)[0];
  }

  #save() {
    this.#journal.set(`contact/${this.name}`, encode(this.creds));
  }
}

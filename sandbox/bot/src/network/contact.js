// A simulated WhatsApp user: a phone with a Signal identity of its own. Its keys live in the
// network's journal; it decrypts what the bot sends and answers, encrypted.
import { BufferJSON, getNextPreKeys, initAuthCreds, jidDecode } from 'baileys';
import { Party, transactional } from '../whatsapp/party.js';

const encode = (value) => JSON.stringify(value, BufferJSON.replacer);
const decode = (text) => JSON.parse(text, BufferJSON.reviver);

/**
 * The store of all contacts' keys; each has its part of it. With a store each, every promise in the process would cost a
 * little for every contact: Baileys' transactions remember by AsyncLocalStorage which one a promise belongs to.
 */
export function contactKeys(journal) {
  const path = (type, id) => {
    const [name, ...rest] = id.split('/');
    return `contact-key/${name}/${type}/${rest.join('/')}`;
  };
  return transactional({
    get(type, ids) {
      const found = ids.map((id) => [id, journal.get(path(type, id))]).filter(([, text]) => text);
      return Object.fromEntries(found.map(([id, text]) => [id, decode(text)]));
    },
    set(data) {
      for (const [type, entries] of Object.entries(data)) {
        for (const [id, value] of Object.entries(entries)) journal.set(path(type, id), value ? encode(value) : null);
      }
    },
  });
}

function partOf(keys, name) {
  const prefix = `${name}/`;
  const renamed = (entries, rename) => Object.fromEntries(Object.entries(entries).map(([id, value]) => [rename(id), value]));
  return {
    ...keys,
    async get(type, ids) {
      return renamed(await keys.get(type, ids.map((id) => prefix + id)), (id) => id.slice(prefix.length));
    },
    set(data) {
      return keys.set(Object.fromEntries(Object.entries(data).map(([type, entries]) => [type, renamed(entries, (id) => prefix + id)])));
    },
  };
}

export class Contact extends Party {
  #journal;

  /** @param me {id, lid?}: phone number and LID, as in Baileys' creds; the name is the key in the journal */
  static create(journal, keys, name, me, query) {
    const contact = new Contact(journal, keys, name, { ...initAuthCreds(), me }, query);
    contact.#save();
    return contact;
  }

  static restore(journal, keys, name, stored, query) {
    return new Contact(journal, keys, name, decode(stored), query);
  }

  constructor(journal, keys, name, creds, query) {
    super({ creds, keys: partOf(keys, name) }, query);
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

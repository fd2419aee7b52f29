// What the bot and the contacts say to each other. A plain message asks for an answer; the
// answer quotes it, and a quoting message is never answered: no conversation runs by itself.

export const plain = (text) => ({ conversation: text });

export const answerTo = ({ id, chat }, text) => ({
  extendedTextMessage: { text, contextInfo: { stanzaId: id, remoteJid: chat } },
});

export const textOf = (message) => message.conversation || message.extendedTextMessage?.text || '';
export const quotedId = (message) => message.extendedTextMessage?.contextInfo?.stanzaId ?? null;
export const wantsAnswer = (message) => Boolean(message.conversation) && !quotedId(message);

// One place for what reaches the log files. Phone numbers lose their middle digits, and
// libsignal's habit of printing whole sessions, private keys included, is reduced to its words.

export const mask = (text) =>
  String(text).replace(/\d{7,}/g, (digits) =>
    digits.length < 10 ? `${digits.slice(0, 2)}***${digits.slice(-2)}` : `${digits.slice(0, 4)}***${digits.slice(-4)}`);

const plain = (part) => {
  if (part instanceof Error) return part.stack ?? part.message;
  return typeof part === 'object' && part !== null ? '' : String(part);
};

export function guardConsole() {
  for (const level of ['log', 'info', 'warn', 'error']) {
    const print = console[level].bind(console);
    console[level] = (...parts) => print(mask(parts.map(plain).filter(Boolean).join(' ')));
  }
}

const silent = () => {};

/** The logger that Baileys wants: its errors in its own words, nothing else. */
export const baileysLogger = {
  level: 'error',
  child: () => baileysLogger,
  trace: silent,
  debug: silent,
  info: silent,
  warn: silent,
  error(context, words) {
    const cause = context?.err ?? context?.error;
    console.error([words ?? context, cause?.message].filter(Boolean).join(': '));
  },
};

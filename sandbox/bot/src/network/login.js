// The public part of a login: all that WhatsApp's servers know of it.
const base64 = (bytes) => Buffer.from(bytes).toString('base64');

/** @param preKeys [[id, public key]] offered for first messages */
export function publicLogin(creds, preKeys) {
  const { keyId, keyPair, signature } = creds.signedPreKey;
  return {
    me: { id: creds.me.id, lid: creds.me.lid },
    registrationId: creds.registrationId,
    identityKey: base64(creds.signedIdentityKey.public),
    signedPreKey: { keyId, publicKey: base64(keyPair.public), signature: base64(signature) },
    preKeys: preKeys.map(([id, publicKey]) => [String(id), base64(publicKey)]),
  };
}

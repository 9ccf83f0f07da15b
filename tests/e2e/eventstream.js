// eventstream.js - AWS's binary messages, made with both of their checksums.

// node:zlib has one from 20.15 on.
function crc32(bytes) {
  let sum = ~0;
  for (const b of bytes) {
    sum ^= b;
    for (let k = 0; k < 8; k++) sum = sum >>> 1 ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}

export function frame(type, name, payload) {
  const headers = Buffer.concat([[`:${type}-type`, name], [':content-type', 'application/json'], [':message-type', type]].map(([n, v]) =>
    Buffer.concat([Buffer.from([n.length]), Buffer.from(n), Buffer.from([7, v.length >> 8, v.length & 255]), Buffer.from(v)])));
  const body = Buffer.from(JSON.stringify(payload));
  const m = Buffer.alloc(16 + headers.length + body.length);
  m.writeUInt32BE(m.length, 0);
  m.writeUInt32BE(headers.length, 4);
  m.writeUInt32BE(crc32(m.subarray(0, 8)), 8);
  headers.copy(m, 12);
  body.copy(m, 12 + headers.length);
  m.writeUInt32BE(crc32(m.subarray(0, m.length - 4)), m.length - 4);
  return m;
}
export const event = (name, payload) => frame('event', name, { ...payload, p: 'abcdef' });

export function sendStream(res, frames) {
  res.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' });
  const all = Buffer.concat(frames);
  for (let i = 0; i < all.length; i += 17) res.write(all.subarray(i, i + 17));	// not where the messages are
  res.end();
}

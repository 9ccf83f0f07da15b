// sigv4.js - AWS Signature Version 4 from its description, to check the gateway's against.
import { createHash, createHmac } from 'node:crypto';

const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const hash = (text) => createHash('sha256').update(text).digest('hex');
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());

// req: {method, url, headers, text} as it came.  Returns what was wrong, or null.
export function wrongSignature(req, { id, secret, token, region, service }, now = Date.now()) {
  const m = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(req.headers.authorization || '');
  if (!m) return `no such header: ${req.headers.authorization}`;
  const [, gotId, day, gotRegion, gotService, names, signature] = m;
  const date = req.headers['x-amz-date'] || '';
  if (gotId !== id || gotRegion !== region || gotService !== service) return `the scope: ${gotId} ${gotRegion} ${gotService}`;
  if (!/^\d{8}T\d{6}Z$/.test(date) || date.slice(0, 8) !== day) return `the date: ${date}`;
  const at = Date.parse(date.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z'));
  if (Math.abs(at - now) > 300000) return `five minutes of skew: ${date}`;
  if ((req.headers['x-amz-security-token'] || undefined) !== token) return 'the session token';
  for (const must of ['host', 'x-amz-date', ...(req.method === 'GET' ? [] : ['content-type']), ...(token ? ['x-amz-security-token'] : [])])
    if (!names.split(';').includes(must)) return `${must} is not signed`;
  const [path, query = ''] = req.url.split('?');
  const canonical = [req.method, path.split('/').map(encode).join('/') || '/',
    query.split('&').filter(Boolean).map((p) => { const [k, v = ''] = p.split('='); return `${encode(decodeURIComponent(k))}=${encode(decodeURIComponent(v))}`; }).sort().join('&'),
    names.split(';').map((n) => `${n}:${String(req.headers[n]).trim().replace(/ +/g, ' ')}\n`).join(''), names, hash(req.text)].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const key = ['aws4_request'].reduce(hmac, [region, service].reduce(hmac, hmac('AWS4' + secret, day)));
  const want = hmac(key, ['AWS4-HMAC-SHA256', date, scope, hash(canonical)].join('\n')).toString('hex');
  return signature === want ? null : `the signature, of\n${canonical}`;
}

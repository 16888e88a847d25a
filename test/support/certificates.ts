// Certificates for tests, made by openssl: an authority, a server for localhost, a client, and a client of another authority.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificates {
  /** As libnbd wants it: ca-cert.pem, client-cert.pem, client-key.pem. */
  readonly folder: string;
  read(name: string): Buffer;
}

/** In the folder: ca, server, client, other (of nobody that is known), each as NAME-cert.pem and NAME-key.pem. */
export function makeCertificates(folder: string): Certificates {
  const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const authority = (name: string) =>
    openssl(
      'req',
      '-x509',
      ...curve,
      '-keyout',
      `${name}-key.pem`,
      '-out',
      `${name}-cert.pem`,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
    );
  const signed = (name: string, by: string, names: string) => {
    writeFileSync(join(folder, `${name}.ext`), names);
    openssl('req', '-new', ...curve, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const signer = ['-CA', `${by}-cert.pem`, '-CAkey', `${by}-key.pem`, '-CAcreateserial'];
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...signer,
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}-cert.pem`,
    );
  };
  authority('ca');
  authority('rogue');
  signed('server', 'ca', 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  signed('client', 'ca', 'extendedKeyUsage=clientAuth');
  signed('other', 'rogue', 'extendedKeyUsage=clientAuth');
  return { folder, read: (name) => readFileSync(join(folder, name)) };
}

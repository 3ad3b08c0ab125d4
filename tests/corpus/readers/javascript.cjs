// Reads mail with mailparser or postal-mime (npm): javascript.cjs READER. Protocol: README.md, "Readers".
'use strict';
const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const readline = require('node:readline');

const MAX_NESTED = 5;
const MARKER = /QSCAN-AMBIGUITY-[0-9a-f]{16}/g;

function leaf(content, names) {
  const bytes = Buffer.from(content);
  return {
    names: [...new Set(names.filter((name) => typeof name === 'string'))],
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    markers: bytes.toString('latin1').match(MARKER) ?? [],
  };
}

const READERS = {
  mailparser: {
    parse: (raw) => require('mailparser').simpleParser(raw, { skipImageLinks: true }),
    nameOf: (attachment) => attachment.filename,
    typeOf: (attachment) => attachment.contentType,
  },
  'postal-mime': {
    parse: (raw) => require('postal-mime').parse(raw, { attachmentEncoding: 'arraybuffer' }),
    nameOf: (attachment) => attachment.filename,
    typeOf: (attachment) => attachment.mimeType,
  },
};

async function leavesOf(reader, raw, nested = 0) {
  const mail = await reader.parse(raw);
  const leaves = [mail.text, mail.html].filter((text) => typeof text === 'string').map((text) => leaf(text, []));
  for (const attachment of mail.attachments ?? []) {
    leaves.push(leaf(attachment.content, [reader.nameOf(attachment)]));
    // Whoever opens an attached message reads on.
    if (nested < MAX_NESTED && String(reader.typeOf(attachment)).toLowerCase() === 'message/rfc822') {
      leaves.push(...(await leavesOf(reader, Buffer.from(attachment.content), nested + 1)));
    }
  }
  return leaves;
}

async function main() {
  const reader = READERS[process.argv[2]];
  for await (const file of readline.createInterface({ input: process.stdin })) {
    const line = { file, leaves: [] };
    try {
      line.leaves = await leavesOf(reader, readFileSync(file));
    } catch (error) {
      line.error = String(error);
    }
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

main();

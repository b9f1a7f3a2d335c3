#!/usr/bin/env python3
"""Checks a ledger's chain and signatures without Cairn: written from docs/audit.md alone. Exit status 0: as it was written; 1: not.

    verify_ledger.py ledger.db [PUBLIC-KEY]        the key as `cairn audit key` prints it; signatures are checked by openssl
"""
import base64, hashlib, sqlite3, struct, subprocess, sys, tempfile

TABLES = {"ledger": "number", "events": "sequence", "decisions": "number", "outcomes": "number", "documents": "number", "signatures": "number"}


def canonical(*values):
    def one(v):
        if v is None: return b"n"
        if isinstance(v, int): return b"i%d" % v
        if isinstance(v, float): return b"r" + struct.pack(">d", v).hex().encode()
        return b"b%d:" % len(v) + v
    return b"".join(map(one, values))


def signed_by(key, message, signature):
    with tempfile.NamedTemporaryFile() as k, tempfile.NamedTemporaryFile() as m, tempfile.NamedTemporaryFile() as s:
        der = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + key)
        for file, content in ((k, b"-----BEGIN PUBLIC KEY-----\n" + der + b"\n-----END PUBLIC KEY-----\n"), (m, message), (s, signature)):
            file.write(content), file.flush()
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", k.name, "-rawin", "-in", m.name, "-sigfile", s.name]
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


database, problems, seen, digests, digest = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True), [], set(), [], bytes(32)
database.text_factory = bytes
for number, source, row, kept in database.execute("SELECT number, source, row, digest FROM chain ORDER BY number"):
    table = source.decode()
    content = database.execute(f"SELECT * FROM {table} WHERE {TABLES[table]} = ?", (row,)).fetchone()
    if content and table == "decisions":
        (kind,) = database.execute("SELECT typeof(payload_json) FROM decisions WHERE number = ?", (row,)).fetchone()
        if (kind == b"text") != content[-1].startswith(b"{"): content = (*content[:-1], None)
    digest = hashlib.sha256(digest + canonical(source, *content)).digest() if content else b""
    if digest != kept or number != len(digests): problems.append(f"entry {number}: {table} {row} is not what was written")
    seen.add((table, row)), digests.append(kept)
    digest = kept
for table, key in TABLES.items():
    problems += [f"{table} {row} was inserted" for (row,) in database.execute(f"SELECT {key} FROM {table}") if (table, row) not in seen]
(identity,) = database.execute("SELECT identity FROM ledger").fetchone() or (b"",)
for number, record, head, at, key, signature in database.execute("SELECT * FROM signatures ORDER BY number"):
    fits = record < len(digests) and digests[record] == head and (len(sys.argv) < 3 or key.hex() == sys.argv[2])
    if not fits or not signed_by(key, canonical(b"cairn-ledger-head-1", identity, record, head, at), signature):
        problems.append(f"signature {number} of entry {record} does not hold")
print("\n".join(problems) or f"{len(digests)} entries, head {digest.hex()}")
sys.exit(1 if problems else 0)

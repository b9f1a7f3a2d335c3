#!/usr/bin/env python3
"""An independent reader of Cairn's store: written from docs/format.md, sharing nothing with Cairn but that document.

It finds the newest checkpoint on a task's line of descent that is whole, checks every digest and length that the document promises, and
writes memory, layers and shared contents as files. Where it and Cairn disagree, one of the two or the document has a mistake.
"""
import argparse
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys

PART_OF_FORMAT_1 = 16 << 20
BLOCK = 4096
FORMATS = (1, 2, 3)
NAME = re.compile(r"[A-Za-z0-9._:-]+\Z")
CHECKPOINT = re.compile(r"e(\d{6})-c(\d{6})\Z")


class Damaged(Exception):
    """What is there cannot be what was written."""


class TooNew(Exception):
    """A document of a format that the document this was written from does not describe."""


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def decompress_zstd(data, size):
    try:
        import zstandard
    except ImportError:
        done = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False)
        if done.returncode:
            raise Damaged("zstd: " + done.stderr.decode(errors="replace").strip())
        return done.stdout
    try:
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=max(size, 1))
    except zstandard.ZstdError as error:
        raise Damaged(f"zstd: {error}") from error


class Store:
    def __init__(self, root):
        self.root = root

    def file(self, path):
        parts = path.split("/")
        # "components of [A-Za-z0-9._:-] that do not begin with a dot, and at most 1,000 bytes"
        if len(path.encode()) > 1000 or any(not NAME.match(part) or part.startswith(".") for part in parts):
            raise Damaged(f"{path!r} is no path of this format")
        return os.path.join(self.root, *parts)

    def read(self, path):
        try:
            with open(self.file(path), "rb") as file:
                return file.read()
        except FileNotFoundError as error:
            raise Damaged(f"{path} is not there") from error

    def names(self, path):
        try:
            return sorted(name for name in os.listdir(self.file(path)) if not name.startswith("."))
        except FileNotFoundError:
            return []

    def document(self, path, required):
        text = self.read(path)
        found = re.fullmatch(rb'\{"digest":"(sha256:[0-9a-f]{64})","document":(\{.*\})\}', text)
        if not found:
            # A later format might look otherwise, but it still says which it is.
            raise Damaged(f"{path} is no sealed document")
        try:
            document = json.loads(found[2].decode("utf-8"))
        except ValueError as error:
            raise Damaged(f"{path}: {error}") from error
        number = document.get("format")
        if not isinstance(number, int):
            raise Damaged(f"{path} has no format")
        if number > max(FORMATS):
            raise TooNew(f"{path} has format {number}, and this reader knows {max(FORMATS)}")
        if digest(found[2]) != found[1].decode():
            raise Damaged(f"{path} has another digest")
        missing = [key for key in required if key not in document]
        if missing:
            raise Damaged(f"{path} lacks {', '.join(missing)}")
        return document

    def marker(self):
        return self.document("cairn-format", [])["format"]


class Task:
    def __init__(self, store, name):
        self.store = store
        self.name = name
        self.folder = f"tasks/{name}"
        numbers = [int(name[:6]) for name in store.names(f"{self.folder}/epochs") if re.match(r"\d{6}\.json\Z", name)]
        if not numbers:
            raise Damaged(f"the store does not know a task {name}")
        self.newest = max(numbers)

    def epoch(self, number):
        record = self.store.document(f"{self.folder}/epochs/{number:06}.json", ["task", "epoch", "node", "at"])
        if record["task"] != self.name or record["epoch"] != number:
            raise Damaged(f"the record of epoch {number} is another's")
        return record

    def end(self):
        """How the task ended; None: it has not."""
        path = f"{self.folder}/ended"
        name = f"{self.newest:06}.json"
        return self.store.document(f"{path}/{name}", ["outcome", "at"])["outcome"] if name in self.store.names(path) else None

    def line(self):
        """Paths of manifests on the line of descent, newest first, damaged ones among them."""
        number, last = self.newest, None
        while True:
            here = {}
            for state in ("sealed", "open"):
                folder = f"{self.folder}/{state}/{number:06}"
                for name in self.store.names(folder):
                    if name.endswith(".json"):
                        here.setdefault(name[:-5], f"{folder}/{name}")
            for name in sorted(here, reverse=True):
                if last is None or name <= last:
                    yield name, here[name]
            last = self.epoch(number).get("from")
            if last is None:
                return
            number = int(CHECKPOINT.match(last)[1])

    def manifest(self, name, path):
        required = ["cairn", "submission", "record", "definition", "memory", "layers", "base", "kernel", "ramdisk"]
        manifest = self.store.document(path, required)
        record = manifest["record"]
        needed = (
            "id task node epoch capturedAt committedAt way stopSeconds latencySeconds uploadSeconds compressSeconds memoryBytes "
            "diskBytes nonZeroBytes sentBytes codec replication includedBase order"
        ).split()
        missing = [key for key in needed if key not in record]
        if missing or record["id"] != name or record["task"] != self.name:
            raise Damaged(f"{path}: its record is not its own or lacks {missing}")
        if record["memoryBytes"] != manifest["memory"]["bytes"]:
            raise Damaged(f"{path}: memoryBytes is not the length of memory")
        return manifest


def part_bytes(store, part, size, where):
    if part["rawBytes"] != size:
        raise Damaged(f"{where} has {part['rawBytes']} raw bytes in place of {size}")
    if "path" not in part:
        if part["storedBytes"] != 0 or part["storedDigest"] != "" or part["codec"] != "none" or part["rawDigest"] != digest(bytes(size)):
            raise Damaged(f"{where} is a zero part that says otherwise")
        return None
    stored = store.read(part["path"])
    if "offset" in part:
        stored = stored[part["offset"]:part["offset"] + part["storedBytes"]]
    if len(stored) != part["storedBytes"] or digest(stored) != part["storedDigest"]:
        raise Damaged(f"{part['path']} has another length or digest than {where} says")
    codec = part["codec"]
    try:
        if codec == "none":
            raw = stored
        elif codec == "gzip":
            raw = gzip.decompress(stored)
        elif codec == "zstd":
            raw = decompress_zstd(stored, size)
        else:
            raise Damaged(f"{where} has the codec {codec}")
    except (OSError, EOFError) as error:
        raise Damaged(f"{part['path']}: {error}") from error
    if "runs" in part:
        raw = with_zeros(raw, part["runs"], size, where)
    if len(raw) != size or digest(raw) != part["rawDigest"]:
        raise Damaged(f"{part['path']} unpacks to something else than {where} says")
    return raw


def with_zeros(kept, runs, size, where):
    """What was left out is put back: lengths in blocks, left out and kept in turn."""
    if any(not isinstance(run, int) or run < 0 for run in runs) or sum(runs) != (size + BLOCK - 1) // BLOCK:
        raise Damaged(f"{where} has runs that are not its own")
    pieces, blocks, done = [], 0, 0
    for index, run in enumerate(runs):
        blocks += run
        count = min(blocks * BLOCK, size) - done
        done += count
        pieces.append(kept[:count] if index % 2 else bytes(count))
        if index % 2:
            kept = kept[count:]
    if kept:
        raise Damaged(f"{where} keeps more than its runs say")
    return b"".join(pieces)


def unpack(store, content, target, what):
    """Writes a content to a file, holes where it is zero. Returns the digest of the whole."""
    length, parts, step = content["bytes"], content["parts"], content.get("partBytes", PART_OF_FORMAT_1)
    if step < 1 or len(parts) != (length + step - 1) // step:
        raise Damaged(f"{what} has {len(parts)} parts for {length} bytes")
    whole = hashlib.sha256()
    with open(target, "wb") as file:
        for number, part in enumerate(parts):
            size = min(step, length - number * step)
            raw = part_bytes(store, part, size, f"part {number} of {what}")
            whole.update(bytes(size) if raw is None else raw)
            if raw is not None:
                file.seek(number * step)
                file.write(raw)
        file.truncate(length)
    return "sha256:" + whole.hexdigest()


def shared(store, name, target):
    path = "contents/" + name.replace(":", "-") + "/content.json"
    record = store.document(path, ["digest", "content"])
    if any(part["codec"] != "none" for part in record["content"]["parts"]):
        raise Damaged(f"{path} is compressed")
    if record["digest"] != name or unpack(store, record["content"], target, path) != name:
        raise Damaged(f"{path} is another content")


def write_checkpoint(store, manifest, out):
    os.makedirs(out, exist_ok=True)
    unpack(store, manifest["memory"], os.path.join(out, "memory.img"), "memory")
    for index, layer in enumerate(manifest["layers"]):
        unpack(store, layer, os.path.join(out, f"{index:06}.qcow2"), f"layer {index}")
    for name in ("base", "kernel", "ramdisk"):
        # Empty: a guest that boots from its own disk has none.
        if manifest[name]:
            shared(store, manifest[name], os.path.join(out, name))
    with open(os.path.join(out, "domain.xml"), "w", encoding="utf-8") as file:
        file.write(manifest["definition"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("store", help="the store's root, a directory")
    parser.add_argument("task", help="the task's id")
    parser.add_argument("out", help="directory for the files")
    parser.add_argument("--checkpoint", help="this one, and no other")
    arguments = parser.parse_args()

    store = Store(arguments.store)
    said = {"passedOver": [], "line": []}
    try:
        said["format"] = store.marker()
        task = Task(store, arguments.task)
        said["epoch"] = task.newest
        said["node"] = task.epoch(task.newest)["node"]
        said["ended"] = task.end()
        for name, path in task.line():
            try:
                manifest = task.manifest(name, path)
                said["line"].append(name)
                if "checkpoint" in said or arguments.checkpoint not in (None, name):
                    continue
                write_checkpoint(store, manifest, arguments.out)
            except Damaged as trouble:
                said["passedOver"].append(f"{name}: {trouble}")
                continue
            said["checkpoint"] = name
            said["layers"] = len(manifest["layers"])
            said["progress"] = manifest["record"].get("progress")
            said["union"] = manifest["record"].get("union")
    except TooNew as trouble:
        print(trouble, file=sys.stderr)
        return 3
    except Damaged as trouble:
        print(trouble, file=sys.stderr)
        return 1
    if "checkpoint" not in said:
        print("nothing whole is left: " + "; ".join(said["passedOver"]), file=sys.stderr)
        return 1
    json.dump(said, sys.stdout, sort_keys=True)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())

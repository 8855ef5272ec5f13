// Loaded before Azurite. What Azurite knows of containers and blobs it keeps in memory (LokiJS), and writes all of it to
// disk every five seconds: a SIGKILL would lose what it has acknowledged since. Here each change is appended to a journal
// before Azurite answers, and replayed over the last snapshot when it starts. A snapshot makes earlier journals needless.
"use strict";
const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");

const Loki = createRequire(process.argv[1])("lokijs");

// The changes of one database: files `<database>.journal.<number>`, each line `[collection, id, document or null]`.
class Journal {
  constructor(database) {
    this.database = database;
    this.number = 1 + Math.max(0, ...this.numbers());
    this.descriptor = null;
    this.size = 0;
    this.unwritten = ""; // changes that found no room on the disk; they go before the next
  }

  file(number) {
    return `${this.database}.journal.${number}`;
  }

  // The numbers of the files, oldest first.
  numbers() {
    const prefix = path.basename(this.file(""));
    const names = fs.readdirSync(path.dirname(this.database)).filter((name) => name.startsWith(prefix));
    return names.map((name) => Number(name.slice(prefix.length))).sort((a, b) => a - b);
  }

  append(collection, id, document) {
    this.unwritten += JSON.stringify([collection, id, document]) + "\n";
    this.descriptor ??= fs.openSync(this.file(this.number), "a", 0o600);
    try {
      fs.appendFileSync(this.descriptor, this.unwritten);
    } catch (error) {
      fs.ftruncateSync(this.descriptor, this.size); // no half line before the next
      throw error;
    }
    this.size += Buffer.byteLength(this.unwritten);
    this.unwritten = "";
  }

  // Write later changes to another file; return what deletes those before it.
  rotate() {
    if (this.descriptor !== null) fs.closeSync(this.descriptor);
    const former = this.numbers();
    Object.assign(this, { descriptor: null, size: 0, number: 1 + Math.max(this.number, ...former) });
    return () => former.forEach((number) => fs.rmSync(this.file(number), { force: true }));
  }

  changes() {
    // A line without its end was cut off by a kill: it was not acknowledged.
    const lines = (number) => fs.readFileSync(this.file(number), "utf8").split("\n").slice(0, -1);
    return this.numbers().flatMap(lines).map((line) => JSON.parse(line));
  }
}

// Apply the changes to a collection as it is stored. They may be older than the snapshot: the last word is the same.
function replay(collection, changes) {
  const documents = new Map(collection.data.map((document) => [document.$loki, document]));
  for (const [, id, document] of changes) {
    if (document) documents.set(id, document);
    else documents.delete(id);
    collection.maxId = Math.max(collection.maxId, id);
  }
  collection.data = [...documents.values()].sort((a, b) => a.$loki - b.$loki);
}

// Make a collection note each change. A change is noted once it is made, a removal before: Loki hides its failure.
function note(collection, journal) {
  const { insertOne, update, remove, removeBatchByPositions } = Object.getPrototypeOf(collection);
  const kept = (document) => {
    if (document) journal.append(collection.name, document.$loki, document);
    return document;
  };
  const gone = (id) => journal.append(collection.name, id, null);
  // Loki stores a collection's members, but functions are no JSON.
  collection.insertOne = (...given) => kept(insertOne.apply(collection, given));
  collection.update = (document) => kept(update.call(collection, document)); // of a list it calls itself, and returns none
  collection.remove = (document) => {
    if (!Array.isArray(document)) gone(document.$loki ?? document);
    return remove.call(collection, document);
  };
  collection.removeBatchByPositions = (positions) => {
    positions.forEach((position) => gone(collection.data[position].$loki));
    return removeBatchByPositions.call(collection, positions);
  };
}

const journals = new WeakMap();
function journalOf(database) {
  if (!journals.has(database)) journals.set(database, new Journal(database.filename));
  return journals.get(database);
}

const addCollection = Loki.prototype.addCollection;
Loki.prototype.addCollection = function (name, options) {
  const collection = addCollection.call(this, name, options);
  note(collection, journalOf(this));
  return collection;
};

Loki.prototype.loadJSON = function (text, options) {
  const stored = JSON.parse(text); // Loki would take an empty file for an empty database
  const changes = journalOf(this).changes();
  for (const collection of stored.collections) {
    replay(collection, changes.filter(([name]) => name === collection.name));
  }
  this.loadJSONObject(stored, options);
  this.collections.forEach((collection) => collection.ensureAllIndexes(true));
};

Loki.prototype.saveDatabaseInternal = function (callback) {
  const forget = journalOf(this).rotate();
  const draft = `${this.filename}~`;
  this.autosaveClearFlags();
  const done = (error) => {
    if (error) this.collections.forEach((collection) => (collection.dirty = true)); // the next interval tries again
    else forget();
    callback(error);
  };
  fs.writeFile(draft, this.serialize(), { flush: true, mode: 0o600 }, (error) => {
    if (error) fs.rm(draft, { force: true }, () => done(error));
    else fs.rename(draft, this.filename, done);
  });
};

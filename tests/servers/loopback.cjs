// Loaded before a server of the tests: it listens on loopback only, whatever it asks for, and ends with whoever
// started it, who holds the other end of its standard input.
'use strict';

const net = require('node:net');

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (...given) {
  const [first] = given;
  const port = first !== null && typeof first === 'object' ? first.port : first;
  const callback = given.find((argument) => typeof argument === 'function');
  return listen.call(this, { host: '127.0.0.1', port: Number(port) }, callback);
};

process.stdin.on('end', () => process.exit()).on('error', () => process.exit()).resume();

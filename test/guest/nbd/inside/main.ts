// The tests that run in the guest whose kernel is a client of NBD: main.js WORK. They run in this order.
for (const file of ['filesystem', 'loss']) await import(`./${file}.js`);

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- The leaves of the state, as zellbook-core encodes them. The engine is rebuilt from these.
CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- The sequence: every batch as it was sequenced, and the root after it.
CREATE TABLE batches (
    idx INTEGER PRIMARY KEY,
    -- Compressed with zstd.
    body BLOB NOT NULL,
    -- The body's length in bytes.
    bytes INTEGER NOT NULL,
    chaining_hash TEXT NOT NULL,
    root BLOB NOT NULL,
    applied INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    applied_ms INTEGER NOT NULL
) STRICT;

-- The batch of the snapshot that the state started from. Batches up to it are not stored. Empty if the
-- replica started from genesis.
CREATE TABLE start (
    idx INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    chaining_hash TEXT NOT NULL
) STRICT;

-- The nonces that each key had used by then, as its leaf stores them: ascending, 8 bytes each.
CREATE TABLE start_nonces (key BLOB PRIMARY KEY, nonces BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- The network's signatures. A batch is covered by the first one with an idx at or above its own.
CREATE TABLE proofs (
    idx INTEGER PRIMARY KEY,
    parent_index INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    chaining_hash TEXT NOT NULL,
    nonsigners TEXT NOT NULL,
    signature TEXT NOT NULL,
    -- The block whose operator list the signature is checked against; 0 in networks with fixed nodes.
    tag INTEGER NOT NULL
) STRICT;

-- From here on: views of the sequence for the API, which could be rebuilt from the batches.

-- Short numbers for the keys of accounts, which are in many rows.
CREATE TABLE accounts (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE) STRICT;

-- A row is a transaction's one outcome. Only a reject 8 (unknown signer) gives way to the next other outcome.
CREATE TABLE transactions (
    hash BLOB PRIMARY KEY,
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    account INTEGER NOT NULL,
    reject_code INTEGER,
    reject_name TEXT,
    reject_message TEXT,
    -- The order that it placed or reduced.
    order_id INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    -- The transaction that placed it.
    hash BLOB NOT NULL,
    account INTEGER NOT NULL,
    market INTEGER NOT NULL,
    -- 0 buy, 1 sell
    side INTEGER NOT NULL,
    price INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    remaining INTEGER NOT NULL,
    time_in_force TEXT NOT NULL,
    expires INTEGER,
    client_id TEXT,
    -- 0 open, 1 filled, 2 cancelled
    status INTEGER NOT NULL,
    -- Why it was cancelled.
    reason TEXT,
    batch INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;
-- The open orders of an account are found by their leaves of the state.
CREATE INDEX orders_past ON orders (account, id) WHERE status <> 0;
-- In matching order. Prices of 2^63 and above are stored as negative numbers, so the sign is sorted first.
CREATE INDEX orders_asks ON orders (market, price < 0, price, id) WHERE status = 0 AND side = 1;
CREATE INDEX orders_bids ON orders (market, price < 0 DESC, price DESC, id) WHERE status = 0 AND side = 0;

-- Fees are atoms of the quote token, stored as text because they can exceed an INTEGER.
CREATE TABLE trades (
    id INTEGER PRIMARY KEY,
    market INTEGER NOT NULL,
    price INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    -- 0 buy, 1 sell
    taker_side INTEGER NOT NULL,
    maker_order INTEGER NOT NULL,
    taker_order INTEGER NOT NULL,
    maker INTEGER NOT NULL,
    taker INTEGER NOT NULL,
    maker_fee TEXT NOT NULL,
    taker_fee TEXT NOT NULL,
    batch INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX trades_by_market ON trades (market, id);
CREATE INDEX trades_by_maker ON trades (maker, id);
CREATE INDEX trades_by_taker ON trades (taker, id);
CREATE INDEX trades_by_time ON trades (time_ms);

-- Candles of each market, for each interval length. Intervals without a trade have no row.
CREATE TABLE candles (
    market INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    open INTEGER NOT NULL,
    high INTEGER NOT NULL,
    low INTEGER NOT NULL,
    close INTEGER NOT NULL,
    -- In lots, stored as text because a sum can exceed an INTEGER.
    quantity TEXT NOT NULL,
    PRIMARY KEY (market, minutes, start_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE withdrawals (
    number INTEGER PRIMARY KEY,
    account BLOB NOT NULL,
    token INTEGER NOT NULL,
    -- In atoms.
    amount TEXT NOT NULL,
    destination TEXT NOT NULL,
    batch INTEGER NOT NULL
) STRICT;
CREATE INDEX withdrawals_by_account ON withdrawals (account, number);
CREATE INDEX withdrawals_by_token ON withdrawals (token, number);

-- Changes of balances other than by trades.
CREATE TABLE ledger (
    number INTEGER PRIMARY KEY,
    account BLOB NOT NULL,
    -- deposit, withdrawal, transfer_out or transfer_in
    kind TEXT NOT NULL,
    token INTEGER NOT NULL,
    -- In atoms.
    amount TEXT NOT NULL,
    -- The reference of a deposit, the destination of a withdrawal, the other account of a transfer.
    counterpart TEXT NOT NULL,
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX ledger_by_account ON ledger (account, number);
CREATE INDEX ledger_deposits ON ledger (number) WHERE kind = 'deposit';
CREATE INDEX ledger_deposits_by_token ON ledger (token, number) WHERE kind = 'deposit';

-- History of session keys and dead-man's switches. Events of timers, which take effect before the first
-- transaction of their batch, have no position.
CREATE TABLE key_events (
    batch INTEGER NOT NULL,
    position INTEGER,
    account BLOB NOT NULL,
    key BLOB NOT NULL,
    -- authorized, revoked or expired
    event TEXT NOT NULL,
    expires INTEGER
) STRICT;
CREATE TABLE switch_events (
    batch INTEGER NOT NULL,
    position INTEGER,
    account BLOB NOT NULL,
    -- set, off or fired
    event TEXT NOT NULL,
    time INTEGER
) STRICT;

-- Attestations of replicas, by the batch that contains them, and the roots that enough of them certified.
CREATE TABLE attestations (
    said_in INTEGER NOT NULL,
    position INTEGER NOT NULL,
    replica INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    root BLOB NOT NULL,
    clock INTEGER NOT NULL,
    PRIMARY KEY (said_in, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX attestations_by_batch ON attestations (batch);
CREATE TABLE certified (
    batch INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    said_in INTEGER NOT NULL
) STRICT;

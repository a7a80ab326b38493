CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- The state's leaves, as zellbook_core::leaf encodes them. The engine is rebuilt from these.
CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- The sequence: every batch as it was finalized, and the root after it.
CREATE TABLE batches (
    idx INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    chaining_hash TEXT NOT NULL,
    root BLOB NOT NULL,
    applied INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    applied_ms INTEGER NOT NULL
) STRICT;

-- Where the sequence begins here: nothing if with batch 1, else the batch of the snapshot that the
-- state was taken from. Batches up to it are not here.
CREATE TABLE start (
    idx INTEGER PRIMARY KEY,
    root BLOB NOT NULL,
    chaining_hash TEXT NOT NULL
) STRICT;

-- Finality signatures; the first with idx >= a batch's covers it.
CREATE TABLE proofs (
    idx INTEGER PRIMARY KEY,
    parent_index INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    chaining_hash TEXT NOT NULL,
    nonsigners TEXT NOT NULL,
    signature TEXT NOT NULL,
    -- The block at which the signers' stakes and keys count, where they are kept on a chain.
    tag INTEGER NOT NULL
) STRICT;

-- Views of the sequence for the API: they could be made again from the batches.
CREATE TABLE transactions (
    hash BLOB PRIMARY KEY,
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    account BLOB NOT NULL,
    reject_code INTEGER,
    reject_name TEXT,
    reject_message TEXT,
    -- What it placed or reduced.
    order_id INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    -- The transaction that placed it.
    hash BLOB NOT NULL,
    account BLOB NOT NULL,
    market INTEGER NOT NULL,
    side TEXT NOT NULL,
    price INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    remaining INTEGER NOT NULL,
    time_in_force TEXT NOT NULL,
    expires INTEGER,
    client_id TEXT,
    status TEXT NOT NULL,
    -- Why it was cancelled.
    reason TEXT,
    batch INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_open ON orders (account, id) WHERE status = 'open';
CREATE INDEX orders_past ON orders (account, id) WHERE status <> 'open';
-- A price above 2^63 is stored as a negative number.
CREATE INDEX orders_book ON orders (market, side, price < 0, price, id) WHERE status = 'open';
-- Best first, which for bids is the other way round by price, but not by id.
CREATE INDEX orders_bids ON orders (market, price < 0 DESC, price DESC, id)
    WHERE status = 'open' AND side = 'buy';

-- Fees are atoms of the quote token: more than an INTEGER may hold.
CREATE TABLE trades (
    id INTEGER PRIMARY KEY,
    market INTEGER NOT NULL,
    price INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    taker_side TEXT NOT NULL,
    maker_order INTEGER NOT NULL,
    taker_order INTEGER NOT NULL,
    maker BLOB NOT NULL,
    taker BLOB NOT NULL,
    maker_fee TEXT NOT NULL,
    taker_fee TEXT NOT NULL,
    batch INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX trades_by_market ON trades (market, id);
CREATE INDEX trades_by_maker ON trades (maker, id);
CREATE INDEX trades_by_taker ON trades (taker, id);
CREATE INDEX trades_by_time ON trades (time_ms);

-- What each market traded in each interval of its length; none where it traded nothing.
CREATE TABLE candles (
    market INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    open INTEGER NOT NULL,
    high INTEGER NOT NULL,
    low INTEGER NOT NULL,
    close INTEGER NOT NULL,
    -- In lots: more than an INTEGER may hold.
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

-- What came to accounts and left them, other than by trades.
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

-- What became of session keys and switches. What came due, before the first transaction of its batch,
-- has no position.
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

-- What replicas said they have seen, by the batch that said so, and what enough of them agreed on.
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

using Tributary.Postgres;
using Tributary.Streaming.Sources.Spooling;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Makes transactions of messages. Each message gives at most one event.
/// 1. A transaction that comes whole, between Begin and Commit, is held in memory; beyond its budget it goes to the spool.
/// 2. One that comes in parts while it is open is gathered in the spool, beside others. Nothing of it is handed on before its commit, and what was undone is left out.
/// 3. One that is prepared is held until it is committed or rolled back.
/// An assembler lives as long as a connection: after a lost link the server sends again everything that is not confirmed.
/// </summary>
internal sealed class TransactionAssembler : IDisposable
{
    // Our own bookkeeping may live in the source's database when that is another stream's target.
    const string OwnSchema = "tributary";

    // What one change takes in a list, beside its row images; without it a million changes of two bytes would pass for two megabytes.
    const int ChangeBytes = 80;

    static readonly DateTimeOffset PostgresEpoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    readonly PgOutputDecoder _decoder = new();
    readonly StreamOptions _options;
    readonly Lsn _after;
    readonly DdlMessages _ddl;
    readonly TableDescriptions? _descriptions;
    readonly SpoolFolder _folder;
    readonly Dictionary<uint, SpooledTransaction> _open = [];
    readonly Dictionary<string, SpooledTransaction> _prepared = [];
    Transaction? _memory;
    SpooledTransaction? _spooled;
    uint _xid;
    long _buffered;
    Lsn _lastCommit;
    bool _isCommitted;

    /// <param name="after">The position behind which transactions are wanted; the target has what ends before.</param>
    /// <param name="ddl">Which messages describe changes of the schema; null for none.</param>
    /// <param name="descriptions">What to make of the tables' descriptions; null for nothing but to read their rows.</param>
    public TransactionAssembler(StreamOptions options, Lsn after, DdlMessages? ddl = null, TableDescriptions? descriptions = null)
    {
        _descriptions = descriptions;
        _ddl = ddl ?? DdlMessages.None;
        _options = options;
        _after = _lastCommit = after;
        _folder = new SpoolFolder(options);
    }

    /// <summary>Bytes on disk now; safe from any thread.</summary>
    public long SpoolBytes => _folder.Bytes;

    /// <summary>Removes what an earlier process has left in the spool. To be called before the first message.</summary>
    public void Prepare() => _folder.Clean();

    /// <param name="bytes">Read before the call returns, even where the answer is still to come.</param>
    /// <exception cref="StreamException">Kind Source: the message is not one that may come here. Kind Spool: the spool cannot take or give what it must.</exception>
    public ValueTask<SourceEvent?> FeedAsync(ReadOnlySpan<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            var message = _decoder.Decode(bytes);
            switch (message.Kind)
            {
                case PgOutputKind.Relation when _descriptions is { } descriptions && message.Table!.Schema is not (OwnSchema or "pg_catalog"):
                    return DescribeAsync(descriptions, message.Table, message.SubXid == 0 ? _xid : message.SubXid, cancellationToken);
                case PgOutputKind.Relation or PgOutputKind.Type or PgOutputKind.Origin:
                    return default;
                case PgOutputKind.Insert or PgOutputKind.Update or PgOutputKind.Delete or PgOutputKind.Truncate:
                    if (message.Table!.Schema != OwnSchema)
                        Add(in message);
                    return IsOverBudget() ? RelieveAsync(cancellationToken) : default;
                case PgOutputKind.Message when message.Transactional:
                    if (_ddl.Accepts(message.Prefix))
                        AddSchema(in message);
                    return IsOverBudget() ? RelieveAsync(cancellationToken) : default;
                case PgOutputKind.Message when _xid == 0:
                    return new ValueTask<SourceEvent?>(new SourceEvent(SourceEventKind.Reached, message.Lsn, null));
                default:
                    return PassAsync(
                        new Boundary(message.Kind, message.Xid, message.SubXid, message.Lsn, PostgresEpoch.AddMicroseconds(message.CommitTimeMicroseconds), message.Gid),
                        cancellationToken);
            }
        }
        catch (PgOutputFormatException exception)
        {
            throw Malformed(exception);
        }
    }

    public void Dispose()
    {
        _memory?.Dispose();
        _spooled?.Dispose();
        foreach (var transaction in _open.Values.Concat(_prepared.Values))
            transaction.Dispose();
        _folder.Dispose();
    }

    void Add(in PgOutputMessage message)
    {
        var kind = message.Kind switch
        {
            PgOutputKind.Insert => ChangeKind.Insert,
            PgOutputKind.Update => ChangeKind.Update,
            PgOutputKind.Delete => ChangeKind.Delete,
            _ => ChangeKind.Truncate,
        };
        var change = new Change(kind, message.Table!, default, default, message.OldKind, message.Truncation);
        if (_spooled is { } spooled)
            Spool(spooled, in change, message.New, message.Old, message.SubXid == 0 ? _xid : message.SubXid);
        else if (_memory is { } memory)
            memory.Add(change with { New = memory.Keep(message.New), Old = memory.Keep(message.Old) });
        else
            throw new PgOutputFormatException($"a {message.Kind} message outside a transaction");
    }

    void AddSchema(in PgOutputMessage message)
    {
        if (_ddl.Read(message.Content) is not { } described)
            return;
        if (_spooled is { } spooled)
            SpoolSchema(spooled, described, message.SubXid == 0 ? _xid : message.SubXid);
        else if (_memory is { } memory)
            memory.AddSchema(described);
        else
            throw new PgOutputFormatException("a description of a command outside a transaction");
    }

    async ValueTask<SourceEvent?> DescribeAsync(TableDescriptions descriptions, TableSchema table, uint subXid, CancellationToken cancellationToken)
    {
        if (await descriptions.TakeAsync(table, _isCommitted ? _xid : null, cancellationToken) is not { } described)
            return null;
        if (_spooled is { } spooled)
            SpoolSchema(spooled, described, subXid);
        else if (_memory is { } memory)
            memory.AddSchema(described);
        return IsOverBudget() ? await RelieveAsync(cancellationToken) : null;
    }

    void SpoolSchema(SpooledTransaction spooled, SchemaChange described, uint subXid) =>
        Spool(spooled, new Change(ChangeKind.Schema, null!, default, default, OldRowKind.None, Schema: described), default, default, subXid);

    void Spool(SpooledTransaction spooled, in Change change, ReadOnlySpan<byte> newRow, ReadOnlySpan<byte> oldRow, uint subXid)
    {
        var before = spooled.BufferBytes;
        spooled.Append(in change, newRow, oldRow, subXid);
        _buffered += spooled.BufferBytes - before;
    }

    long MemoryBytes() => _memory is { } memory ? memory.Bytes + ChangeBytes * memory.Count : 0;

    bool IsOverBudget() =>
        _spooled is { IsFull: true } || MemoryBytes() is var bytes && (bytes > _options.TransactionBytesMax || bytes + _buffered > _options.OpenTransactionsBytesMax);

    // One event at most, since no message but a boundary gives any.
    async ValueTask<SourceEvent?> RelieveAsync(CancellationToken cancellationToken)
    {
        if (_spooled is { IsFull: true } full)
            await FlushAsync(full, cancellationToken);
        else if (_memory is { } memory && (MemoryBytes() > _options.TransactionBytesMax || _open.Count + _prepared.Count == 0))
            await MoveToSpoolAsync(memory, cancellationToken);
        while (MemoryBytes() + _buffered > _options.OpenTransactionsBytesMax)
        {
            var largest = _open.Values.Concat(_prepared.Values).Append(_spooled).OfType<SpooledTransaction>().MaxBy(static open => open.BufferBytes);
            if (largest is null || largest.BufferBytes == 0)
                break;
            var before = largest.BufferBytes;
            await largest.FlushAsync(_lastCommit, cancellationToken);
            largest.Shrink();
            _buffered += largest.BufferBytes - before;
        }

        return null;
    }

    async ValueTask FlushAsync(SpooledTransaction spooled, CancellationToken cancellationToken)
    {
        var before = spooled.BufferBytes;
        await spooled.FlushAsync(_lastCommit, cancellationToken);
        _buffered += spooled.BufferBytes - before;
    }

    async ValueTask<SpooledTransaction> MoveToSpoolAsync(Transaction memory, CancellationToken cancellationToken)
    {
        var spooled = _spooled = new SpooledTransaction(_folder, _options, memory.Xid);
        foreach (var change in memory.Changes)
        {
            Spool(spooled, in change, change.New.Memory.Span, change.Old.Memory.Span, memory.Xid);
            if (spooled.IsFull)
                await FlushAsync(spooled, cancellationToken);
        }

        _memory = null;
        memory.Dispose();
        return spooled;
    }

    async ValueTask<SourceEvent?> PassAsync(Boundary boundary, CancellationToken cancellationToken)
    {
        switch (boundary.Kind)
        {
            case PgOutputKind.Begin or PgOutputKind.BeginPrepare when _xid == 0:
                _xid = boundary.Xid;
                _memory = new Transaction(_xid);
                _isCommitted = boundary.Kind == PgOutputKind.Begin; // The server sends such a transaction at its commit.
                return new SourceEvent(SourceEventKind.Entered, boundary.Lsn, null, _xid);
            case PgOutputKind.Commit when _xid != 0:
                boundary = boundary with { Xid = _xid }; // Before it is taken, which forgets it: a Commit message does not name its transaction.
                return await CommitAsync(TakeCurrent(), boundary, cancellationToken);
            case PgOutputKind.Prepare when _xid == boundary.Xid:
                Hold(boundary, _spooled ?? await MoveToSpoolAsync(_memory!, cancellationToken));
                TakeCurrent();
                return null;
            case PgOutputKind.StreamStart when _xid == 0:
                return EnterStream(boundary.Xid);
            case PgOutputKind.StreamStop when _spooled is not null:
                (_xid, _spooled) = (0, null);
                return null;
            case PgOutputKind.StreamAbort when _open.TryGetValue(boundary.Xid, out var open):
                return await AbortAsync(open, boundary, cancellationToken);
            case PgOutputKind.StreamPrepare when _open.Remove(boundary.Xid, out var open):
                Hold(boundary, open);
                return null;
            case PgOutputKind.StreamCommit when _open.Remove(boundary.Xid, out var open):
                return await CommitAsync((null, open), boundary, cancellationToken);
            case PgOutputKind.CommitPrepared:
                return _prepared.Remove(boundary.Gid!, out var prepared)
                    ? await CommitAsync((null, prepared), boundary, cancellationToken)
                    : throw LostPrepared(boundary);
            case PgOutputKind.RollbackPrepared:
                // One that is not held was prepared before this connection, and nothing of it was handed on.
                return _prepared.Remove(boundary.Gid!, out var undone) ? Left(undone) : new SourceEvent(SourceEventKind.Reached, boundary.Lsn, null);
            default:
                throw Malformed(new PgOutputFormatException($"a {boundary.Kind} message for transaction {boundary.Xid} that does not fit what came before"));
        }
    }

    SourceEvent? EnterStream(uint xid)
    {
        (_xid, _isCommitted) = (xid, false);
        if (_open.TryGetValue(xid, out _spooled))
            return null;
        _open.Add(xid, _spooled = new SpooledTransaction(_folder, _options, xid));
        return new SourceEvent(SourceEventKind.Entered, _lastCommit, null, xid) { Open = _spooled };
    }

    async ValueTask<SourceEvent?> AbortAsync(SpooledTransaction open, Boundary boundary, CancellationToken cancellationToken)
    {
        if (boundary.SubXid == boundary.Xid)
        {
            _open.Remove(boundary.Xid);
            return Left(open);
        }

        var before = open.BufferBytes;
        await open.AbortAsync(boundary.SubXid, _lastCommit, cancellationToken);
        _buffered += open.BufferBytes - before;
        return null;
    }

    SourceEvent Left(SpooledTransaction undone)
    {
        _buffered -= undone.BufferBytes;
        undone.Dispose();
        return new SourceEvent(SourceEventKind.Left, _lastCommit, null, undone.Xid);
    }

    void Hold(Boundary boundary, SpooledTransaction prepared)
    {
        if (!_prepared.TryAdd(boundary.Gid!, prepared))
            throw Malformed(new PgOutputFormatException($"transaction {boundary.Xid} is prepared under a name that another one holds"));
    }

    (Transaction? Memory, SpooledTransaction? Spooled) TakeCurrent()
    {
        var current = (_memory, _spooled);
        (_xid, _memory, _spooled) = (0, null, null);
        return current;
    }

    async ValueTask<SourceEvent?> CommitAsync((Transaction? Memory, SpooledTransaction? Spooled) arrived, Boundary boundary, CancellationToken cancellationToken)
    {
        if (arrived.Spooled is { } left)
            _buffered -= left.BufferBytes;
        if (boundary.Lsn <= _after)
        {
            // The server sends nothing at or before the start position; if it ever did, the target has it already.
            arrived.Memory?.Dispose();
            arrived.Spooled?.Dispose();
            return new SourceEvent(SourceEventKind.Left, _after, null, boundary.Xid);
        }

        var transaction = arrived.Memory;
        if (arrived.Spooled is { HasRepeated: true } open && _descriptions is { } descriptions && !await descriptions.AreUnchangedAsync(open.Repeated, boundary.Xid, cancellationToken))
            open.FollowRepeated();
        if (arrived.Spooled is { } spooled)
            transaction = await spooled.CompleteAsync(boundary.Lsn, boundary.Time, _lastCommit, cancellationToken);
        else
            transaction!.Complete(boundary.Lsn, boundary.Time);
        _lastCommit = boundary.Lsn;
        return new SourceEvent(SourceEventKind.Committed, boundary.Lsn, transaction, boundary.Xid);
    }

    StreamException LostPrepared(Boundary boundary) => new(
        StreamErrorKind.Gap,
        $"The source commits the prepared transaction {boundary.Xid} at {boundary.Lsn}, whose changes the slot '{_options.SlotName}' sent at PREPARE TRANSACTION to an earlier connection. " +
        "A slot that tributary makes sends them at COMMIT PREPARED: make it without two_phase. " +
        "Way back: 'tributary stream destroy --drop-copied', then start the stream again; it copies all rows anew.");

    StreamException Malformed(PgOutputFormatException exception) => new(
        StreamErrorKind.Source, $"The source {_options.Source} sent what pgoutput does not allow: {exception.Message}.", exception);

    readonly record struct Boundary(PgOutputKind Kind, uint Xid, uint SubXid, Lsn Lsn, DateTimeOffset Time, string? Gid);
}

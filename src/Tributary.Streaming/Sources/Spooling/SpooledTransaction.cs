using System.Runtime.CompilerServices;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources.Spooling;

/// <summary>
/// One transaction whose changes are gathered into pieces, and written to a file as soon as one is full. A piece keeps the order of arrival and notes each
/// change's subtransaction; what a subtransaction did is left out on reading once that was undone.
/// Threading: one writer; beside it one follower, and after the commit one reader. Failure: a StreamException of kind Spool.
/// </summary>
internal sealed class SpooledTransaction(SpoolFolder folder, StreamOptions options, uint xid) : ISpooledChanges, IOpenTransaction
{
    const int FirstBufferBytes = 4096;

    // More small rows than this make a list of changes that outweighs the piece itself.
    const int PieceRowsMax = 16_384;

    readonly Lock _lock = new();
    readonly SemaphoreSlim _changed = new(0, 1);
    readonly List<Piece> _pieces = [];
    readonly SpoolTables _tables = new();
    readonly SubtransactionCounts _counts = new(xid);
    readonly List<SchemaChange> _repeated = [];
    byte[] _buffer = [];
    int _used;
    int _rows;
    SpoolFile? _file;
    volatile State _state;

    enum State
    {
        Open,
        Complete,
        Gone,
    }

    public uint Xid => xid;

    public ChangeCounts Counts => _counts.Total;

    public long Count => _counts.Total.Total;

    public bool ChangesSchema => Counts.Schemas > 0 || FollowsRepeated;

    /// <summary>The tables that were described as they are known, for whoever can tell at the commit whether they are.</summary>
    public IEnumerable<TableSchema> Repeated => _repeated.Select(static described => described.Described());

    public bool HasRepeated => _repeated.Count > 0;

    bool FollowsRepeated { get; set; }

    public bool IsComplete => _state == State.Complete;

    /// <summary>Memory that is held now.</summary>
    public int BufferBytes => _buffer.Length;

    public bool IsOnDisk => _file is not null;

    /// <summary>The piece is full, and must be written before the next change.</summary>
    public bool IsFull => _used >= options.SpoolPieceBytes || _rows >= PieceRowsMax;

    /// <param name="change">Its row images are taken from <paramref name="newRow"/> and <paramref name="oldRow"/>, which are copied.</param>
    public void Append(in Change change, ReadOnlySpan<byte> newRow, ReadOnlySpan<byte> oldRow, uint subXid)
    {
        var bytes = SpoolRecord.BytesOf(in change, newRow, oldRow);
        MakeRoom(bytes);
        SpoolRecord.Write(in change, newRow, oldRow, subXid, _tables, _buffer.AsSpan(_used, bytes));
        _used += bytes;
        _rows++;
        if (change.Schema is { IsRepeated: true } repeated)
        {
            _repeated.Add(repeated);
            return;
        }

        lock (_lock)
            _counts.Add(change.Kind, subXid);
    }

    /// <summary>The descriptions that seemed to say nothing new are changes of the schema after all.</summary>
    public void FollowRepeated() => FollowsRepeated = true;

    /// <param name="after">The end of the last commit that the source has sent before.</param>
    public async ValueTask FlushAsync(Lsn after, CancellationToken cancellationToken)
    {
        if (_rows == 0)
            return;
        _file ??= folder.Create(xid);
        var offset = await _file.AppendAsync(_buffer.AsMemory(0, _used), cancellationToken);
        Announce(new Piece(offset, _used, after, 0));
        (_used, _rows) = (0, 0);
        // One value of hundreds of megabytes must not hold that much memory until the commit.
        if (_buffer.Length > 2 * options.SpoolPieceBytes)
            _buffer = [];
    }

    /// <summary>Gives back the memory of a piece that has been written.</summary>
    public void Shrink()
    {
        if (_rows == 0)
            _buffer = [];
    }

    /// <summary>Undoes one subtransaction.</summary>
    public async ValueTask AbortAsync(uint subXid, Lsn after, CancellationToken cancellationToken)
    {
        // A follower learns of it in its place, behind what has arrived so far.
        if (IsOnDisk)
            await FlushAsync(after, cancellationToken);
        bool had;
        lock (_lock)
            had = _counts.Abort(subXid);
        if (had)
            Announce(new Piece(0, 0, after, subXid));
    }

    /// <summary>The transaction has been committed. Answers its changes: from memory if they never left it, otherwise from disk.</summary>
    public async ValueTask<Transaction> CompleteAsync(Lsn commitEndLsn, DateTimeOffset commitTime, Lsn after, CancellationToken cancellationToken)
    {
        var transaction = IsOnDisk ? new Transaction(xid, this) : new Transaction(xid);
        transaction.Complete(commitEndLsn, commitTime);
        if (IsOnDisk)
        {
            await FlushAsync(after, cancellationToken);
            End(State.Complete);
            _buffer = [];
            return transaction;
        }

        foreach (var (change, subXid) in Records(_buffer.AsMemory(0, _used)))
        {
            if (!_counts.IsAborted(subXid) && (FollowsRepeated || change.Schema is not { IsRepeated: true }))
                transaction.Add(change with { New = transaction.Keep(change.New.Memory.Span), Old = transaction.Keep(change.Old.Memory.Span) });
        }

        Dispose();
        return transaction;
    }

    public async IAsyncEnumerable<IReadOnlyList<Change>> ReadPiecesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var changes = new List<Change>();
        var reader = new PieceReader(_file!);
        for (var i = 0; Next(i) is { } piece; i++)
        {
            if (piece.Length == 0)
                continue;
            changes.Clear();
            foreach (var (change, subXid) in Records(await reader.ReadAsync(piece, cancellationToken)))
            {
                if (!IsAborted(subXid))
                    changes.Add(change);
            }

            if (changes.Count > 0)
                yield return changes;
        }
    }

    public async IAsyncEnumerable<OpenPart> FollowAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var changes = new List<Change>();
        PieceReader? reader = null;
        for (var i = 0; ; i++)
        {
            Piece? next;
            while ((next = Next(i)) is null && _state == State.Open)
                await _changed.WaitAsync(cancellationToken);
            next ??= Next(i);
            if (next is not { } piece || _state == State.Gone)
                yield break;
            if (piece.Length == 0)
            {
                yield return new OpenPart(piece.After, piece.AbortedSubXid, null);
                continue;
            }

            reader ??= new PieceReader(_file!);
            var current = xid;
            changes.Clear();
            foreach (var (change, subXid) in Records(await reader.ReadAsync(piece, cancellationToken)))
            {
                // What is known to be undone need not be done first.
                if (IsAborted(subXid))
                    continue;
                if (subXid != current && changes.Count > 0)
                {
                    yield return new OpenPart(piece.After, current, changes);
                    changes.Clear();
                }

                current = subXid;
                changes.Add(change);
            }

            if (changes.Count > 0)
                yield return new OpenPart(piece.After, current, changes);
        }
    }

    public void Dispose()
    {
        End(State.Gone);
        _file?.Dispose();
        _buffer = [];
        (_used, _rows) = (0, 0);
    }

    void MakeRoom(int bytes)
    {
        if (_used == 0)
            _used = SpoolFile.BlockHeaderBytes;
        if (_used + bytes <= _buffer.Length)
            return;
        // Doubled up to a piece and the record that fills it; beyond that only for a record that is larger than a piece.
        var wanted = Math.Max(_used + bytes, Math.Min(2 * Math.Max(_buffer.Length, FirstBufferBytes), options.SpoolPieceBytes + options.SpoolPieceBytes / 8));
        Array.Resize(ref _buffer, wanted);
    }

    IEnumerable<(Change Change, uint SubXid)> Records(ReadOnlyMemory<byte> block)
    {
        var rest = block.IsEmpty ? block : block[SpoolFile.BlockHeaderBytes..];
        while (!rest.IsEmpty)
            yield return SpoolRecord.Read(ref rest, _tables);
    }

    bool IsAborted(uint subXid)
    {
        if (subXid == xid)
            return false;
        lock (_lock)
            return _counts.IsAborted(subXid);
    }

    Piece? Next(int index)
    {
        lock (_lock)
            return index < _pieces.Count ? _pieces[index] : null;
    }

    void Announce(Piece piece)
    {
        lock (_lock)
            _pieces.Add(piece);
        Signal();
    }

    void End(State state)
    {
        _state = state;
        Signal();
    }

    void Signal()
    {
        lock (_lock)
        {
            if (_changed.CurrentCount == 0)
                _changed.Release();
        }
    }

    /// <param name="Length">Zero: the subtransaction is undone.</param>
    readonly record struct Piece(long Offset, int Length, Lsn After, uint AbortedSubXid);

    sealed class PieceReader(SpoolFile file)
    {
        byte[] _block = [];

        public async ValueTask<ReadOnlyMemory<byte>> ReadAsync(Piece piece, CancellationToken cancellationToken)
        {
            if (_block.Length < piece.Length)
                _block = GC.AllocateUninitializedArray<byte>(piece.Length);
            var block = _block.AsMemory(0, piece.Length);
            await file.ReadAsync(piece.Offset, block, cancellationToken);
            return block;
        }
    }
}

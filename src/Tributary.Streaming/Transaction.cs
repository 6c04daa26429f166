using System.Buffers;
using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>
/// One committed transaction of the source. It owns the memory of its rows, which goes back to the pool with <see cref="Dispose"/>;
/// the pipeline disposes it after the target has taken it.
/// A change's position is <c>(CommitEndLsn, its index in Changes)</c>: a change's own LSN is neither unique nor ordered across transactions.
/// </summary>
public sealed class Transaction : IDisposable
{
    // A one-row transaction, the most frequent kind, takes one small chunk; a big one takes few large ones.
    const int FirstChunkBytes = 512;
    const int ChunkBytesMax = 256 * 1024;

    readonly List<Change> _changes = [];
    readonly List<byte[]> _chunks = [];
    readonly ISpooledChanges? _spooled;
    int _used;
    bool _hasSchemaChanges;

    internal Transaction(uint xid, ISpooledChanges? spooled = null)
    {
        Xid = xid;
        _spooled = spooled;
    }

    public uint Xid { get; }

    /// <summary>Just behind the commit record: the only position that is ever saved or confirmed.</summary>
    public Lsn CommitEndLsn { get; private set; }

    /// <summary>The source's clock at the commit.</summary>
    public DateTimeOffset CommitTime { get; private set; }

    /// <summary>The changes in order. Those of a spooled transaction are not in memory; they are read piece by piece.</summary>
    public IReadOnlyList<Change> Changes =>
        _spooled is null ? _changes : throw new InvalidOperationException("The changes of a spooled transaction are read piece by piece.");

    /// <summary>Whether the changes lie in a spool on disk, because they exceed the budget of memory. Such a transaction is a batch of its own.</summary>
    public bool IsSpooled => _spooled is not null;

    /// <summary>Number of changes.</summary>
    public long Count => _spooled?.Count ?? _changes.Count;

    /// <summary>How many changes there are of each kind; those of the schema are in <see cref="Count"/> alone.</summary>
    internal ChangeCounts Counts()
    {
        if (_spooled is not null)
            return _spooled.Counts;
        long inserts = 0, updates = 0, deletes = 0, truncates = 0, schemas = 0;
        foreach (var change in _changes)
        {
            switch (change.Kind)
            {
                case ChangeKind.Insert:
                    inserts++;
                    break;
                case ChangeKind.Update:
                    updates++;
                    break;
                case ChangeKind.Delete:
                    deletes++;
                    break;
                case ChangeKind.Truncate:
                    truncates++;
                    break;
                case ChangeKind.Schema:
                    schemas++;
                    break;
            }
        }

        return new ChangeCounts(inserts, updates, deletes, truncates, schemas);
    }

    /// <summary>Bytes of row images that are held in memory.</summary>
    public long Bytes { get; private set; }

    /// <summary>The changes of a spooled transaction in order. A piece and its row images are valid until the next one is asked for.</summary>
    /// <exception cref="StreamException">The spool cannot be read, or its checksum differs.</exception>
    public IAsyncEnumerable<IReadOnlyList<Change>> ReadPiecesAsync(CancellationToken cancellationToken) =>
        (_spooled ?? throw new InvalidOperationException("The transaction is in memory.")).ReadPiecesAsync(cancellationToken);

    /// <summary>Whether the schema changes with it.</summary>
    public bool HasSchemaChanges => _hasSchemaChanges || _spooled is { ChangesSchema: true };

    /// <summary>
    /// Whether it is a batch of its own, written with nothing beside it: because it lies on disk, or so that a command meets at the target what it met at the source.
    /// </summary>
    public bool IsAlone => IsSpooled || HasSchemaChanges;

    public void Dispose()
    {
        foreach (var chunk in _chunks)
            ArrayPool<byte>.Shared.Return(chunk);
        _chunks.Clear();
        _changes.Clear();
        _spooled?.Dispose();
    }

    internal void Add(Change change)
    {
        if (change.Schema is { } schema)
            AddSchema(schema);
        else
            _changes.Add(change);
    }

    /// <summary>
    /// Adds a change of the schema. The rows that a command such as CREATE TABLE AS writes come before the message that describes the command,
    /// so what it has created goes before their first row.
    /// </summary>
    internal void AddSchema(SchemaChange schema)
    {
        _hasSchemaChanges = true;
        var created = schema.CreatedRelations();
        var place = created.Count == 0 ? -1 : _changes.FindIndex(change => change.Table is { } table && created.Contains(table.RelationId));
        var change = new Change(ChangeKind.Schema, null!, default, default, OldRowKind.None, Schema: schema);
        if (place < 0)
            _changes.Add(change);
        else
            _changes.Insert(place, change);
    }

    internal void Complete(Lsn commitEndLsn, DateTimeOffset commitTime)
    {
        CommitEndLsn = commitEndLsn;
        CommitTime = commitTime;
    }

    /// <summary>Copies a row image out of the source's receive buffer, which the next message overwrites.</summary>
    internal RowImage Keep(ReadOnlySpan<byte> tuple)
    {
        if (tuple.IsEmpty)
            return default;
        if (_chunks.Count == 0 || _chunks[^1].Length - _used < tuple.Length)
        {
            var size = _chunks.Count == 0 ? FirstChunkBytes : Math.Min(_chunks[^1].Length * 2, ChunkBytesMax);
            _chunks.Add(ArrayPool<byte>.Shared.Rent(Math.Max(size, tuple.Length)));
            _used = 0;
        }

        var kept = _chunks[^1].AsMemory(_used, tuple.Length);
        tuple.CopyTo(kept.Span);
        _used += tuple.Length;
        Bytes += tuple.Length;
        return new RowImage(kept);
    }
}

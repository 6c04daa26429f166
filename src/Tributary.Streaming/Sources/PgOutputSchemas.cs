using System.Diagnostics.CodeAnalysis;

namespace Tributary.Streaming.Sources;

/// <summary>
/// The tables' shapes and the types' names as the server described them. The server keeps what it has told for each open transaction apart,
/// since one that changes a table's shape may yet be undone: it describes a table anew for each, and takes what it told for known only when that
/// transaction has committed (maybe_send_schema and cleanup_rel_sync_cache in src/backend/replication/pgoutput/pgoutput.c). So does this.
/// </summary>
internal sealed class PgOutputSchemas
{
    readonly Version _committed = new();
    readonly Dictionary<uint, Version> _open = [];
    Version? _current;

    /// <summary>What follows is told within an open transaction.</summary>
    public void Enter(uint xid)
    {
        if (!_open.TryGetValue(xid, out _current))
            _open.Add(xid, _current = new Version());
    }

    public void Leave() => _current = null;

    public void Committed(uint xid)
    {
        if (!_open.Remove(xid, out var told))
            return;
        foreach (var (id, table) in told.Tables)
            _committed.Tables[id] = table;
        foreach (var (id, name) in told.Types)
            _committed.Types[id] = name;
    }

    public void Aborted(uint xid) => _open.Remove(xid);

    /// <summary>Answers the version to be used: an equal one that is known already keeps its identity, so that nobody derives the same anew.</summary>
    public TableSchema Describe(TableSchema table)
    {
        if (TryFind(table.RelationId, out var known) && AreEqual(known, table))
            table = known;
        (_current ?? _committed).Tables[table.RelationId] = table;
        return table;
    }

    public void DescribeType(uint id, string name) => (_current ?? _committed).Types[id] = name;

    public string? TypeName(uint id) =>
        _current?.Types.GetValueOrDefault(id) ?? _committed.Types.GetValueOrDefault(id);

    /// <exception cref="PgOutputFormatException">The table was not described.</exception>
    public TableSchema Find(uint id)
    {
        // A shape that was told outside the open transaction need not be the one inside it.
        if ((_current ?? _committed).Tables.TryGetValue(id, out var table))
            return table;
        throw new PgOutputFormatException($"relation {id} was not described before its first row");
    }

    bool TryFind(uint id, [NotNullWhen(true)] out TableSchema? table) =>
        (_current is not null && _current.Tables.TryGetValue(id, out table)) || _committed.Tables.TryGetValue(id, out table);

    static bool AreEqual(TableSchema one, TableSchema other) =>
        one.Schema == other.Schema && one.Name == other.Name && one.Identity == other.Identity && one.Columns.AsSpan().SequenceEqual(other.Columns.AsSpan());

    sealed class Version
    {
        public Dictionary<uint, TableSchema> Tables { get; } = [];

        public Dictionary<uint, string> Types { get; } = [];
    }
}

using Tributary.Postgres;
using Tributary.Streaming.Copying.Ddl;

namespace Tributary.Streaming;

/// <summary>
/// What source and target know in common of tables whose shape is followed by the descriptions that come with rows, where there are no event
/// triggers. It outlives a session, so that what one has learned serves the next. Safe from any thread.
/// </summary>
/// <param name="catalog">The source's catalog; null where nothing is followed.</param>
internal sealed class FollowedTables(StreamOptions options, ISourceCatalog? catalog)
{
    readonly Lock _lock = new();
    readonly Dictionary<uint, TableShape> _shapes = [];
    readonly Dictionary<(uint RelationId, short Number), Lsn> _dropped = [];
    volatile bool _isOn;
    volatile bool _needsText;

    public ISourceCatalog Catalog => catalog ?? throw new InvalidOperationException("No table is followed.");

    /// <summary>Whether changes of the schema are taken from descriptions of rows.</summary>
    public bool IsOn => _isOn;

    /// <summary>Whether a type has come whose binary form does not mean the same at the target; rows are text from then on.</summary>
    public bool NeedsText
    {
        get => _needsText;
        set => _needsText = value;
    }

    /// <summary>Whether the target holds shapes from an earlier start: then the stream began without event triggers.</summary>
    public bool HasShapes
    {
        get
        {
            lock (_lock)
                return _shapes.Count > 0;
        }
    }

    /// <param name="hasTriggers">Whether the source's event triggers describe every command.</param>
    public void Decide(bool hasTriggers)
    {
        _isOn = catalog is not null && options.Schema == SchemaMode.Auto && (HasShapes || !hasTriggers);
        // A source that has failed over counts positions of another timeline.
        lock (_lock)
            _dropped.Clear();
    }

    public void Load(IReadOnlyList<TableShape> shapes)
    {
        lock (_lock)
        {
            _shapes.Clear();
            foreach (var shape in shapes)
                _shapes[shape.RelationId] = shape;
        }
    }

    public void Put(TableShape shape)
    {
        lock (_lock)
            _shapes[shape.RelationId] = shape;
    }

    public TableShape? Find(uint relationId)
    {
        lock (_lock)
            return _shapes.GetValueOrDefault(relationId);
    }

    /// <summary>Whether the description surely shows no change: it is what the target has, and the source has dropped none of these columns since.</summary>
    public async Task<bool> IsUnchangedAsync(TableSchema described, uint xid, CancellationToken cancellationToken) =>
        Find(described.RelationId) is { } known && known.IsShownBy(described) &&
        (await Catalog.ReadAsync(described, xid, cancellationToken)).HasAll(known);

    /// <summary>
    /// Notes which of the known columns the source has dropped by now. Rows of a transaction that commits later come from after that, since dropping a
    /// column waits for those who write to its table, and they for it.
    /// </summary>
    public async Task ObserveAsync(CancellationToken cancellationToken)
    {
        Dictionary<uint, TableShape> shapes;
        lock (_lock)
            shapes = new Dictionary<uint, TableShape>(_shapes);
        if (shapes.Count == 0)
            return;
        var (dropped, before) = await Catalog.ReadDroppedAsync([.. shapes.Keys], cancellationToken);
        lock (_lock)
        {
            foreach (var column in dropped)
            {
                if (shapes[column.RelationId].Columns.Any(known => known.Number == column.Number))
                    _dropped.TryAdd(column, before);
            }
        }
    }

    /// <summary>Whether the source is known to have dropped the column before it committed what ends at the position.</summary>
    public bool IsDroppedBefore(uint relationId, short number, Lsn position)
    {
        lock (_lock)
            return _dropped.TryGetValue((relationId, number), out var before) && before < position;
    }

    /// <summary>Why the stream has no event triggers, for the log.</summary>
    public async Task<string> WhyAsync(CancellationToken cancellationToken)
    {
        await using var source = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Source, $"tributary {options.Name} check"), cancellationToken);
        return await DdlCapture.WhyNotAsync(source, cancellationToken) ??
            "the stream began without them, and would miss what came between; to have them now, run 'tributary stream destroy --drop-copied' and start it again";
    }
}

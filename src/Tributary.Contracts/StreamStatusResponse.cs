namespace Tributary.Contracts;

/// <summary>A stream at one moment. Counts begin with the process.</summary>
public sealed record StreamStatusResponse
{
    public required string Name { get; init; }

    public required PartState State { get; init; }

    /// <summary>What it does, in a word of the stream's own.</summary>
    public string? Phase { get; init; }

    /// <summary>The target, without its password.</summary>
    public string? Target { get; init; }

    /// <summary>Tables whose existing rows are in the target.</summary>
    public int TablesCopied { get; init; }

    /// <summary>Tables to copy; 0 until they are counted, and when nothing had to be copied.</summary>
    public int TablesTotal { get; init; }

    /// <summary>Existing rows that were copied.</summary>
    public long RowsCopied { get; init; }

    /// <summary>Existing rows by production's statistics; 0 when it has none.</summary>
    public long RowsEstimated { get; init; }

    /// <summary>Changes that the target has made durable.</summary>
    public long ChangesApplied { get; init; }

    /// <summary>The same by kind.</summary>
    public StreamChangesResponse? Changes { get; init; }

    public long TransactionsApplied { get; init; }

    /// <summary>Writes to the target; each takes as many transactions as had arrived, up to a bound.</summary>
    public long Batches { get; init; }

    /// <summary>Transactions that have arrived and are not in the target yet.</summary>
    public long InFlightTransactions { get; init; }

    /// <summary>The bytes of their rows that are held in memory.</summary>
    public long InFlightBytes { get; init; }

    /// <summary>Bytes of large transactions that wait on disk.</summary>
    public long SpoolBytes { get; init; }

    /// <summary>Updates and deletes that found no row in the target.</summary>
    public long MissingRows { get; init; }

    /// <summary>True: changes of the schema are known from the descriptions that come with rows, which tell less, since the source has no event triggers.</summary>
    public bool SchemaFromDescriptions { get; init; }

    /// <summary>What of the source's schema changes the target does not have; all of it is in the target's table <c>tributary.schema_report</c>.</summary>
    public long SchemaReports { get; init; }

    /// <summary>The newest of them.</summary>
    public IReadOnlyList<StreamSchemaReportResponse> LastSchemaReports { get; init; } = [];

    public int Reconnections { get; init; }

    /// <summary>Bytes of production's log that the target has not confirmed.</summary>
    public long? LagBytes { get; init; }

    /// <summary>From a commit on production to its commit in the target, in milliseconds; the median of the recent ones.</summary>
    public double? LagMsP50 { get; init; }

    public double? LagMsP99 { get; init; }

    /// <summary>The last position that was acknowledged to production.</summary>
    public string? ConfirmedLsn { get; init; }

    /// <summary>The newest position of production that is known.</summary>
    public string? SourceLsn { get; init; }

    public string? Error { get; init; }
}

/// <summary>Changes that a target has made durable, by kind.</summary>
/// <param name="Schemas">Commands that changed the schema.</param>
public sealed record StreamChangesResponse(long Inserts, long Updates, long Deletes, long Truncates, long Schemas);

/// <summary>Something about a change of the schema that the target does not have.</summary>
/// <param name="Lsn">The end of the commit that it belongs to.</param>
/// <param name="Command">The command's tag, for example GRANT.</param>
public sealed record StreamSchemaReportResponse(string Lsn, string Command, string Subject, string Reason);

public sealed record StreamListResponse(IReadOnlyList<StreamStatusResponse> Streams);

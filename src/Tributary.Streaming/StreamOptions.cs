using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>What one stream does, and the bounds of everything it holds in memory.</summary>
public sealed record StreamOptions
{
    readonly string? _slotName;
    readonly string? _publicationName;
    readonly string? _spoolFolder;
    readonly PostgresUrl? _target;

    /// <summary>Names the stream in its progress row; lower-case letters, digits and underscores, as in the name of a slot.</summary>
    public required string Name { get; init; }

    public required PostgresUrl Source { get; init; }

    /// <summary>The Postgres that receives the changes; a stream has this or <see cref="Stdout"/>.</summary>
    public PostgresUrl Target
    {
        get => _target ?? throw new InvalidOperationException($"The target of the stream '{Name}' is no Postgres.");
        init => _target = value;
    }

    /// <summary>Set for a stream that writes lines of JSON.</summary>
    public StdoutOptions? Stdout { get; init; }

    /// <summary>The target for people, without a password.</summary>
    public string TargetName => Stdout is null ? Target.ToString() : "standard output";

    /// <summary>Default <c>tributary_NAME</c>.</summary>
    public string SlotName
    {
        get => _slotName ?? $"tributary_{Name}";
        init => _slotName = value;
    }

    /// <summary>
    /// Whether the rows of partitions come as rows of the table that is partitioned (<c>publish_via_partition_root</c>), so that the target may have other
    /// partitions. Otherwise each goes to the target's partition of the same name.
    /// </summary>
    public bool PartitionsViaRoot { get; init; }

    /// <summary>Default <c>tributary_NAME</c>. It is created when it does not exist.</summary>
    public string PublicationName
    {
        get => _publicationName ?? $"tributary_{Name}";
        init => _publicationName = value;
    }

    /// <summary>Rows of source transactions that share one target transaction at most. 10,000 rows amortize the commit and stay well under a second.</summary>
    public int BatchRowsMax { get; init; } = 10_000;

    /// <summary>The same bound in bytes of row images.</summary>
    public long BatchBytesMax { get; init; } = 8L << 20;

    /// <summary>Decoded transactions that wait for the target. Two full batches of one-row transactions keep the target busy.</summary>
    public int QueueTransactionsMax { get; init; } = 20_000;

    /// <summary>Bytes of row images between source and target; reading from the source pauses beyond it. Eight full batches.</summary>
    public long QueueBytesMax { get; init; } = 64L << 20;

    /// <summary>What one transaction may hold in memory before its changes go to the spool. Two full batches: a smaller one is written from memory at once.</summary>
    public long TransactionBytesMax { get; init; } = 16L << 20;

    /// <summary>What all transactions that are still arriving may hold in memory together; beyond it the largest goes to the spool. Sixty-four full pieces.</summary>
    public long OpenTransactionsBytesMax { get; init; } = 64L << 20;

    /// <summary>
    /// Where changes go that exceed the budget of memory, on a disk that can hold the largest transaction. One process at a time uses it, and each start empties it.
    /// Default: a folder of the stream's name in the user's own data.
    /// </summary>
    public string SpoolFolder
    {
        get => _spoolFolder ?? Path.Combine(
            Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "tributary", "spool", Name);
        init => _spoolFolder = value;
    }

    /// <summary>Bytes that the spool may hold. Default 0: as much as its disk can.</summary>
    public long SpoolBytesMax { get; init; }

    /// <summary>Free space that the spool leaves to others on its disk, a database's log for instance. 1 GiB.</summary>
    public long SpoolReserveBytes { get; init; } = 1L << 30;

    /// <summary>A piece of the spool, written and read as a whole. 1 MiB keeps both the disk and a target's COPY busy, and a hundred open transactions in bounds.</summary>
    public int SpoolPieceBytes { get; init; } = 1 << 20;

    /// <summary>
    /// Whether the source sends large transactions while they are still open, which it does beyond its <c>logical_decoding_work_mem</c>, from Postgres 14 on.
    /// Without it the source keeps them on its own disk until their commit. Default: yes.
    /// </summary>
    public bool StreamsOpenTransactions { get; init; } = true;

    /// <summary>
    /// Whether such a transaction is also written into the target while it is open, in a second session, so that it is visible soon after its commit. One at a time;
    /// what it has written stays invisible until then. Default: yes.
    /// </summary>
    public bool WritesOpenTransactions { get; init; } = true;

    /// <summary>How long that second session waits for a lock of others before it gives up, and the transaction is written after its commit. 5 s.</summary>
    public TimeSpan OpenTransactionLockWait { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How often it is asked whether the ordinary writes wait for that session, which then gives up: the longest that it can delay them. 500 ms.</summary>
    public TimeSpan OpenTransactionWatchInterval { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Whether changes of the schema are carried. Default <see cref="SchemaMode.Auto"/>.</summary>
    public SchemaMode Schema { get; init; } = SchemaMode.Auto;

    /// <summary>How often a message is written into the source's log, so that the slot of an idle database moves on.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How often the confirmed position is sent to the source. Far inside the server's <c>wal_sender_timeout</c> (60 s by default).</summary>
    public TimeSpan FeedbackInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Whether the target's commit waits for its disk. Off is faster; then a crash of the target's server may undo commits that the source
    /// has been told about, so it is for targets that are copied anew after a crash.
    /// </summary>
    public bool SynchronousCommit { get; init; } = true;

    /// <summary>
    /// Connections that apply changes at the same time; they commit in the source's order. Each takes one session of the target, and on servers
    /// where that may be set one replication origin. Default: one a processor, at most 4, since more wait for each other's commits.
    /// </summary>
    public int ApplyConnections { get; init; } = Math.Min(4, Environment.ProcessorCount);

    /// <summary>
    /// How long a statement waits for a row that another session holds, while several connections apply. Far below the server's
    /// <c>deadlock_timeout</c> (1 s by default), and far above what a batch takes. After it the changes are applied one batch after the other.
    /// </summary>
    public TimeSpan ApplyLockTimeout { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How often one batch is tried again when another session was in its way, before the stream reconnects.</summary>
    public int ApplyRetriesMax { get; init; } = 5;

    /// <summary>The least inserts into one table for which COPY is worth its round trips.</summary>
    public int CopyRowsMin { get; init; } = 300;

    /// <summary>Tables copied at the same time. Each takes one connection at either side.</summary>
    public int CopyTablesMax { get; init; } = 2;

    /// <summary>How long a start waits for the session of an instance that has just ended, before it takes that for a second instance.</summary>
    public TimeSpan FenceWait { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The longest pause between attempts to reconnect.</summary>
    public TimeSpan ReconnectDelayMax { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Transactions whose lag is remembered for the percentiles. Enough for a p99 of a few seconds at 1,000 a second, and cheap to sort.</summary>
    public int LagWindow { get; init; } = 4096;

    /// <summary>How long a transaction's lag is remembered at most, so that catching up after the copy does not colour the figures for long. Default 30 s.</summary>
    public TimeSpan LagSpan { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The form in which the source sends values. Default: what the target takes most quickly.</summary>
    public ValueFormat? ValueFormat { get; init; }

    /// <summary>
    /// Leaves out what another replication has written at the source, so that two streams in opposite directions do not send changes in circles.
    /// Postgres 16 and later; default off: everything is sent.
    /// </summary>
    public bool LocalChangesOnly { get; init; }

    /// <summary>
    /// Whether the slot is copied to the source's standbys, so that the stream goes on after a failover. Default on where the source knows such slots
    /// (Postgres 17 and later, a primary).
    /// </summary>
    public bool FailoverSlot { get; init; } = true;

    /// <summary>Every mistake in the options, each with its name.</summary>
    public IReadOnlyList<string> Validate()
    {
        var errors = new List<string>();
        RequireName(errors, nameof(Name), Name, 40); // The slot's name is longer by "tributary_", and Postgres allows 63 bytes.
        RequireName(errors, nameof(SlotName), SlotName, 63);
        RequirePositive(errors, nameof(BatchRowsMax), BatchRowsMax);
        RequirePositive(errors, nameof(BatchBytesMax), BatchBytesMax);
        RequirePositive(errors, nameof(QueueTransactionsMax), QueueTransactionsMax);
        RequirePositive(errors, nameof(QueueBytesMax), QueueBytesMax);
        RequirePositive(errors, nameof(TransactionBytesMax), TransactionBytesMax);
        RequirePositive(errors, nameof(OpenTransactionsBytesMax), OpenTransactionsBytesMax);
        RequirePositive(errors, nameof(SpoolPieceBytes), SpoolPieceBytes);
        RequirePositive(errors, nameof(OpenTransactionLockWait), OpenTransactionLockWait.Ticks);
        RequirePositive(errors, nameof(OpenTransactionWatchInterval), OpenTransactionWatchInterval.Ticks);
        if (SpoolBytesMax < 0 || SpoolReserveBytes < 0)
            errors.Add($"{nameof(SpoolBytesMax)} and {nameof(SpoolReserveBytes)} must not be negative.");
        if (!Path.IsPathFullyQualified(SpoolFolder))
            errors.Add($"{nameof(SpoolFolder)} '{SpoolFolder}' must be an absolute path.");
        RequirePositive(errors, nameof(CopyTablesMax), CopyTablesMax);
        RequirePositive(errors, nameof(ApplyConnections), ApplyConnections);
        RequirePositive(errors, nameof(ApplyLockTimeout), ApplyLockTimeout.Ticks);
        RequirePositive(errors, nameof(ApplyRetriesMax), ApplyRetriesMax);
        RequirePositive(errors, nameof(CopyRowsMin), CopyRowsMin);
        RequirePositive(errors, nameof(LagWindow), LagWindow);
        RequirePositive(errors, nameof(LagSpan), LagSpan.Ticks);
        RequirePositive(errors, nameof(HeartbeatInterval), HeartbeatInterval.Ticks);
        RequirePositive(errors, nameof(FeedbackInterval), FeedbackInterval.Ticks);
        if (Stdout is null == _target is null)
            errors.Add($"one of {nameof(Target)} and {nameof(Stdout)} must be given.");
        if (Stdout is { } stdout)
            RequirePositive(errors, nameof(stdout.BufferBytesMax), stdout.BufferBytesMax);
        if (PublicationName.Length is 0 or > 63)
            errors.Add($"{nameof(PublicationName)} must have 1 to 63 characters.");
        return errors;
    }

    // The generated text would ask for the target that a stream of lines does not have.
    public override string ToString() => $"stream '{Name}' from {Source}";

    static void RequirePositive(List<string> errors, string name, long value)
    {
        if (value <= 0)
            errors.Add($"{name} must be greater than 0.");
    }

    static void RequireName(List<string> errors, string name, string value, int charsMax)
    {
        if (value.Length == 0 || value.Length > charsMax || !value.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '_'))
            errors.Add($"{name} '{value}' must be 1 to {charsMax} lower-case letters, digits and underscores.");
    }
}

public enum ValueFormat
{
    /// <summary>Every value as text.</summary>
    Text,

    /// <summary>
    /// Binary, if the binary form of every type in the published tables means the same in every database; otherwise text. A table that is published
    /// later may bring other types: the source then sends those columns as text where the type has no binary form.
    /// </summary>
    Auto,
}

using System.Runtime.CompilerServices;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Reads a logical slot with pgoutput.
/// 1. Open two sessions: one that streams, and one for what a streaming session cannot do. 2. Make sure that the slot continues the checkpoint.
/// 3. Start the stream. 4. Take what has arrived, message by message; <see cref="TransactionAssembler"/> makes transactions of them. Wait only when
/// nothing is left.
/// </summary>
/// <param name="followed">Which tables' shapes are known to the target, where changes of the schema are taken from descriptions; null for nowhere.</param>
internal sealed class ReplicationSource(StreamOptions options, TimeProvider time, FollowedTables? followed = null) : ISource
{
    const string HeartbeatPrefix = "tributary.heartbeat";

    readonly FollowedTables _followed = followed ?? new FollowedTables(options, catalog: null);
    DdlMessages _ddl = DdlMessages.None;
    ReplicationConnection? _replication;
    NpgsqlConnection? _queries;
    TransactionAssembler? _assembler;
    bool _isStandby;

    public Lsn LastReceivedLsn => _replication?.LastReceivedLsn ?? Lsn.Zero;

    public bool IsLinked => SessionSettings.IsOpen(_queries!);

    public long SpoolBytes => _assembler?.SpoolBytes ?? 0;

    public async Task<SourceIdentity> OpenAsync(CancellationToken cancellationToken)
    {
        // Step 1.
        _replication = await ReplicationConnection.OpenAsync(options, time, cancellationToken);
        _queries = await SessionSettings.OpenAsync(
            SessionSettings.ConnectionString(options.Source, $"tributary {options.Name} heartbeat"), cancellationToken);
        await using var command = new NpgsqlCommand("SELECT pg_catalog.pg_is_in_recovery()", _queries);
        _isStandby = (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
        return await IdentifyAsync(cancellationToken);
    }

    public async Task VerifyAsync(Checkpoint checkpoint, CancellationToken cancellationToken)
    {
        // Step 2.
        var identity = await IdentifyAsync(cancellationToken);
        if (identity.SystemIdentifier != checkpoint.SystemIdentifier)
            throw SlotCheck.OtherSystem(options, checkpoint, identity.SystemIdentifier);
        await TimelineCheck.RunAsync(Opened, options, checkpoint, identity.Timeline, cancellationToken);
        var slot = await SlotCheck.RunAsync(_queries!, options, checkpoint, cancellationToken);
        if (options.FailoverSlot && !_isStandby && slot.CanFailOver == false)
            await LetFailOverAsync(cancellationToken);
        // Here and not with the connection: on the first start the copy installs the event triggers in between.
        // A stream that began without them has shapes, and takes no message of triggers that another stream has installed since.
        if (!_followed.HasShapes)
            _ddl = await DdlMessages.OpenAsync(_queries!, options, cancellationToken);
        _followed.Decide(_ddl.AreInstalled);
    }

    public async IAsyncEnumerable<SourceEvent> ReadAsync(Lsn after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Step 3.
        ConfirmFlushed(after);
        var binary = options.ValueFormat == ValueFormat.Auto && Opened.ServerMajor >= StartReplication.BinaryLeast && !_ddl.NeedsText && !_followed.NeedsText &&
            await BinaryForm.SuitsAsync(Opened, options.PublicationName, cancellationToken);
        await Opened.StartAsync(StartReplication.Command(options, Opened.ServerMajor, after, binary), cancellationToken);
        using var assembler = _assembler = new TransactionAssembler(options, after, _ddl.While(binary), new TableDescriptions(_followed, options, binary));
        assembler.Prepare();
        while (true)
        {
            // Step 4: a row costs no wait, neither for the socket nor for the assembler, which waits only for the disk.
            while (Opened.TryRead(out var message))
            {
                var fed = assembler.FeedAsync(message, cancellationToken);
                if ((fed.IsCompletedSuccessfully ? fed.Result : await fed) is { } next)
                    yield return next;
            }

            await Opened.ReceiveAsync();
        }
    }

    public void ConfirmFlushed(Lsn lsn) => Opened.ConfirmFlushed(lsn);

    public async Task<Lsn?> BeatAsync(CancellationToken cancellationToken)
    {
        if (_followed.IsOn && options.Stdout is null)
            await _followed.ObserveAsync(cancellationToken);
        var written = await WriteMessageAsync(cancellationToken);
        if (written is null)
            Opened.AskForPosition(); // Without messages of our own only the server's keep-alives let an idle slot move on.
        return written;
    }

    public async ValueTask DisposeAsync()
    {
        if (_replication is not null)
            await _replication.DisposeAsync();
        if (_queries is not null)
            await _queries.DisposeAsync();
        if (followed?.IsOn == true)
            await followed.Catalog.CloseAsync();
    }

    ReplicationConnection Opened => _replication ?? throw new InvalidOperationException("The source has not been opened.");

    async Task<Lsn?> WriteMessageAsync(CancellationToken cancellationToken)
    {
        // pgoutput passes messages on from Postgres 14 on: https://www.postgresql.org/docs/14/release-14.html
        if (Opened.ServerMajor < 14)
            return null;
        try
        {
            // A standby writes no log of its own; it may have been promoted since.
            await using var command = new NpgsqlCommand(
                "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_logical_emit_message(false, $1, '')::text END", _queries)
            {
                Parameters = { new() { Value = HeartbeatPrefix } },
            };
            return await command.ExecuteScalarAsync(cancellationToken) is string lsn ? Lsn.Parse(lsn) : null;
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.InsufficientPrivilege or PostgresErrorCodes.ReadOnlySqlTransaction)
        {
            return null;
        }
    }

    async Task<SourceIdentity> IdentifyAsync(CancellationToken cancellationToken)
    {
        var identity = await Opened.IdentifySystemAsync(cancellationToken);
        return _isStandby ? identity with { Timeline = 0 } : identity;
    }

    // The slot was made before the server, or this option, knew of it: https://www.postgresql.org/docs/current/logical-replication-failover.html
    async Task LetFailOverAsync(CancellationToken cancellationToken)
    {
        try
        {
            await Opened.QueryAsync($"ALTER_REPLICATION_SLOT {SqlQuoting.Identifier(options.SlotName)} (FAILOVER true)", cancellationToken);
        }
        catch (ServerErrorException exception) when (!LostLink.Is(exception))
        {
            throw new StreamException(
                StreamErrorKind.Configuration,
                $"The source {options.Source} does not let the slot '{options.SlotName}' go on after a failover: {LostLink.Describe(exception)} Switch {nameof(StreamOptions.FailoverSlot)} off to stream without.");
        }
    }
}

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
internal sealed class ReplicationSource(StreamOptions options, TimeProvider time) : ISource
{
    const string HeartbeatPrefix = "tributary.heartbeat";

    DdlMessages _ddl = DdlMessages.None;
    ReplicationConnection? _replication;
    NpgsqlConnection? _queries;

    public Lsn LastReceivedLsn => _replication?.LastReceivedLsn ?? Lsn.Zero;

    public async Task<SourceIdentity> OpenAsync(CancellationToken cancellationToken)
    {
        // Step 1.
        _replication = await ReplicationConnection.OpenAsync(options, time, cancellationToken);
        _queries = await SessionSettings.OpenAsync(
            SessionSettings.ConnectionString(options.Source, $"tributary {options.Name} heartbeat"), cancellationToken);
        return await _replication.IdentifySystemAsync(cancellationToken);
    }

    public async Task VerifyAsync(Checkpoint checkpoint, CancellationToken cancellationToken)
    {
        // Step 2.
        var identity = await Opened.IdentifySystemAsync(cancellationToken);
        if (identity.SystemIdentifier != checkpoint.SystemIdentifier)
            throw SlotCheck.OtherSystem(options, checkpoint, identity.SystemIdentifier);
        await SlotCheck.RunAsync(_queries!, options, checkpoint, cancellationToken);
        // Here and not with the connection: on the first start the copy installs the event triggers in between.
        _ddl = await DdlMessages.OpenAsync(_queries!, options, cancellationToken);
    }

    public async IAsyncEnumerable<SourceEvent> ReadAsync(Lsn after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Step 3.
        ConfirmFlushed(after);
        var binary = options.ValueFormat == ValueFormat.Auto && await BinaryForm.SuitsAsync(_queries!, options.PublicationName, cancellationToken);
        await Opened.StartAsync(StartReplication.Command(options, Opened.ServerMajor, after, binary), cancellationToken);
        using var assembler = new TransactionAssembler(options, after, _ddl);
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
        // pgoutput passes messages on from Postgres 14 on: https://www.postgresql.org/docs/14/release-14.html
        if (Opened.ServerMajor < 14)
            return null;
        try
        {
            await using var command = new NpgsqlCommand("SELECT pg_catalog.pg_logical_emit_message(false, $1, '')::text", _queries)
            {
                Parameters = { new() { Value = HeartbeatPrefix } },
            };
            return Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellationToken))!);
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.InsufficientPrivilege or PostgresErrorCodes.ReadOnlySqlTransaction)
        {
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_replication is not null)
            await _replication.DisposeAsync();
        if (_queries is not null)
            await _queries.DisposeAsync();
    }

    ReplicationConnection Opened => _replication ?? throw new InvalidOperationException("The source has not been opened.");
}

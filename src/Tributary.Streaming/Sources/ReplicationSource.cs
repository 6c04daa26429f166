using System.Runtime.CompilerServices;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Reads a logical slot with pgoutput.
/// 1. Open two sessions: one that streams, and one for what a streaming session cannot do. 2. Make sure that the slot continues the checkpoint.
/// 3. Start the stream. 4. Take what has arrived, message by message, and hand a transaction on with its commit; wait only when nothing is left.
/// </summary>
internal sealed class ReplicationSource(StreamOptions options, TimeProvider time) : ISource
{
    const string HeartbeatPrefix = "tributary.heartbeat";

    // Our own bookkeeping may live in the source's database when that is another stream's target.
    const string OwnSchema = "tributary";

    readonly PgOutputDecoder _decoder = new();
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
    }

    public async IAsyncEnumerable<SourceEvent> ReadAsync(Lsn after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Step 3.
        ConfirmFlushed(after);
        var binary = options.ValueFormat == ValueFormat.Auto && await BinaryForm.SuitsAsync(_queries!, options.PublicationName, cancellationToken);
        await Opened.StartAsync(StartReplication.Command(options, Opened.ServerMajor, after, binary), cancellationToken);
        Transaction? transaction = null;
        try
        {
            while (true)
            {
                // Step 4.
                while (TryNext(after, ref transaction, out var next))
                    yield return next;
                await Opened.ReceiveAsync();
            }
        }
        finally
        {
            transaction?.Dispose();
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

    // One loop without a wait over all that has arrived: a row costs no call of an asynchronous method.
    bool TryNext(Lsn after, ref Transaction? transaction, out SourceEvent next)
    {
        while (Opened.TryRead(out var message))
        {
            if (Interpret(message, after, ref transaction) is { } found)
            {
                next = found;
                return true;
            }
        }

        next = default;
        return false;
    }

    SourceEvent? Interpret(ReadOnlySpan<byte> bytes, Lsn after, ref Transaction? transaction)
    {
        try
        {
            return Step(bytes, after, ref transaction);
        }
        catch (PgOutputFormatException exception)
        {
            throw new StreamException(StreamErrorKind.Source, $"The source {options.Source} sent what pgoutput does not allow: {exception.Message}.", exception);
        }
    }

    // One message becomes at most one event: a transaction is handed on with its commit.
    SourceEvent? Step(ReadOnlySpan<byte> bytes, Lsn after, ref Transaction? transaction)
    {
        var message = _decoder.Decode(bytes);
        switch (message.Kind)
        {
            case PgOutputKind.Begin when transaction is null:
                transaction = new Transaction(message.Xid);
                return new SourceEvent(SourceEventKind.Entered, message.Lsn, null);
            case PgOutputKind.Commit when transaction is not null:
                transaction.Complete(message.Lsn, PostgresEpoch.AddMicroseconds(message.CommitTimeMicroseconds));
                var committed = transaction;
                transaction = null;
                if (message.Lsn > after)
                    return new SourceEvent(SourceEventKind.Committed, message.Lsn, committed);
                // The server sends nothing at or before the start position; if it ever did, the target has it already.
                committed.Dispose();
                return new SourceEvent(SourceEventKind.Reached, after, null);
            case PgOutputKind.Insert or PgOutputKind.Update or PgOutputKind.Delete or PgOutputKind.Truncate when transaction is not null:
                Add(in message, transaction);
                return null;
            case PgOutputKind.Message when !message.Transactional && transaction is null:
                return new SourceEvent(SourceEventKind.Reached, message.Lsn, null);
            case PgOutputKind.Relation or PgOutputKind.Type or PgOutputKind.Origin or PgOutputKind.Message:
                return null;
            default:
                throw new PgOutputFormatException($"a {message.Kind} message {(transaction is null ? "outside" : "inside")} a transaction");
        }
    }

    static readonly DateTimeOffset PostgresEpoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    void Add(in PgOutputMessage message, Transaction transaction)
    {
        if (message.Table!.Schema == OwnSchema)
            return;
        var kind = message.Kind switch
        {
            PgOutputKind.Insert => ChangeKind.Insert,
            PgOutputKind.Update => ChangeKind.Update,
            PgOutputKind.Delete => ChangeKind.Delete,
            _ => ChangeKind.Truncate,
        };
        transaction.Add(new Change(
            kind, message.Table, transaction.Keep(message.New), transaction.Keep(message.Old), message.OldKind, message.Truncation));
        if (transaction.Bytes > options.TransactionBytesMax)
        {
            throw new StreamException(
                StreamErrorKind.Limit,
                $"Transaction {transaction.Xid} of the source holds more than {options.TransactionBytesMax} bytes of rows (last table: {message.Table}). " +
                $"Raise {nameof(StreamOptions.TransactionBytesMax)}; memory of that size is needed until its commit.");
        }
    }
}

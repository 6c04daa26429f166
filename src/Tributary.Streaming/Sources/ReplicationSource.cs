using System.Runtime.CompilerServices;
using Npgsql;
using Npgsql.Replication;
using Npgsql.Replication.Internal;
using Npgsql.Replication.PgOutput;
using NpgsqlTypes;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Reads a logical slot with pgoutput. Npgsql carries the replication protocol and sends feedback on a timer of its own, so that a slow
/// target does not make the server give up the connection; the messages are decoded here.
/// </summary>
internal sealed class ReplicationSource(StreamOptions options) : ISource
{
    const string HeartbeatPrefix = "tributary.heartbeat";

    // Our own bookkeeping may live in the source's database when that is another stream's target.
    const string OwnSchema = "tributary";

    readonly LogicalReplicationConnection _replication = new(SessionSettings.ConnectionString(options.Source, $"tributary {options.Name}"));
    readonly PgOutputDecoder _decoder = new();
    DdlMessages _ddl = DdlMessages.None;
    NpgsqlConnection? _queries;
    byte[] _message = new byte[64 * 1024];

    public Lsn LastReceivedLsn => new((ulong)_replication.LastReceivedLsn);

    public async Task<SourceIdentity> OpenAsync(CancellationToken cancellationToken)
    {
        _replication.WalReceiverStatusInterval = options.FeedbackInterval;
        await _replication.Open(cancellationToken);
        _queries = await SessionSettings.OpenAsync(
            SessionSettings.ConnectionString(options.Source, $"tributary {options.Name} heartbeat"), cancellationToken);
        var system = await _replication.IdentifySystem(cancellationToken);
        return new SourceIdentity(system.SystemId, system.Timeline);
    }

    public async Task VerifyAsync(Checkpoint checkpoint, CancellationToken cancellationToken)
    {
        var identity = await _replication.IdentifySystem(cancellationToken);
        if (identity.SystemId != checkpoint.SystemIdentifier)
            throw SlotCheck.OtherSystem(options, checkpoint, identity.SystemId);
        await SlotCheck.RunAsync(_queries!, options, checkpoint, cancellationToken);
        // Here and not with the connection: on the first start the copy installs the event triggers in between.
        _ddl = await DdlMessages.OpenAsync(_queries!, options, cancellationToken);
    }

    public async IAsyncEnumerable<SourceEvent> ReadAsync(Lsn after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ConfirmFlushed(after);
        var messages = _replication.StartLogicalReplication(
            new PgOutputReplicationSlot(options.SlotName), cancellationToken, new NpgsqlLogSequenceNumber(after.Value), PluginOptions());
        Transaction? transaction = null;
        try
        {
            await foreach (var xlog in messages)
            {
                var length = await ReceiveAsync(xlog.Data, cancellationToken);
                if (Interpret(_message.AsSpan(0, length), after, ref transaction) is { } next)
                    yield return next;
            }
        }
        finally
        {
            transaction?.Dispose();
        }
    }

    public void ConfirmFlushed(Lsn lsn) => _replication.SetReplicationStatus(new NpgsqlLogSequenceNumber(lsn.Value));

    public async Task<Lsn?> BeatAsync(CancellationToken cancellationToken)
    {
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
        await _replication.DisposeAsync();
        if (_queries is not null)
            await _queries.DisposeAsync();
    }

    Dictionary<string, string?> PluginOptions()
    {
        var major = _replication.PostgreSqlVersion.Major;
        var plugin = new Dictionary<string, string?>
        {
            ["proto_version"] = major >= 16 ? "4" : major >= 15 ? "3" : major >= 14 ? "2" : "1",
            ["publication_names"] = SqlQuoting.Identifier(options.PublicationName),
        };
        if (major >= 14)
            plugin["messages"] = "true";
        return plugin;
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
            case PgOutputKind.Message when message.Transactional && transaction is not null && _ddl.Accepts(message.Prefix):
                _ddl.Add(message.Content, transaction);
                return null;
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

    async ValueTask<int> ReceiveAsync(Stream data, CancellationToken cancellationToken)
    {
        var length = 0;
        int read;
        while ((read = await data.ReadAsync(_message.AsMemory(length), cancellationToken)) > 0)
        {
            length += read;
            if (length == _message.Length)
                Array.Resize(ref _message, _message.Length * 2);
        }

        return length;
    }
}

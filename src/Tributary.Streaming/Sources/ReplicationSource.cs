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
/// target does not make the server give up the connection; the messages become transactions in <see cref="TransactionAssembler"/>.
/// </summary>
internal sealed class ReplicationSource(StreamOptions options) : ISource
{
    const string HeartbeatPrefix = "tributary.heartbeat";

    readonly LogicalReplicationConnection _replication = new(SessionSettings.ConnectionString(options.Source, $"tributary {options.Name}"));
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
    }

    public async IAsyncEnumerable<SourceEvent> ReadAsync(Lsn after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ConfirmFlushed(after);
        var messages = _replication.StartLogicalReplication(
            new PgOutputReplicationSlot(options.SlotName), cancellationToken, new NpgsqlLogSequenceNumber(after.Value), PluginOptions());
        using var assembler = new TransactionAssembler(options, after);
        assembler.Prepare();
        await foreach (var xlog in messages)
        {
            var length = await ReceiveAsync(xlog.Data, cancellationToken);
            if (await assembler.FeedAsync(_message.AsSpan(0, length), cancellationToken) is { } next)
                yield return next;
        }
    }

    public void ConfirmFlushed(Lsn lsn) => _replication.SetReplicationStatus(new NpgsqlLogSequenceNumber(lsn.Value));

    public async Task<Lsn?> BeatAsync(CancellationToken cancellationToken)
    {
        // pgoutput passes messages on from Postgres 14 on: https://www.postgresql.org/docs/14/release-14.html
        if (_replication.PostgreSqlVersion.Major < 14)
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
        if (major >= 14 && options.StreamsOpenTransactions)
            plugin["streaming"] = "on";
        return plugin;
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

using Npgsql;
using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Server.Diagnosis;

/// <summary>What production must allow. One connection, one query, nothing changed.</summary>
static class SourceChecks
{
    const string Name = "production";

    /// <summary>A physical slot and each stream's logical one.</summary>
    const string Facts = """
        SELECT current_setting('server_version_num')::int / 10000,
               current_setting('wal_level'),
               pg_is_in_recovery(),
               (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user),
               current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)::int,
               current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication)::int,
               (SELECT array_to_string(array_agg(slot_name::text), ',') FROM pg_replication_slots),
               (SELECT array_to_string(array_agg(extname::text), ',') FROM pg_extension),
               (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries')
        """;

    public static async Task<IReadOnlyList<DoctorCheck>> RunAsync(TributaryConfiguration configuration, CancellationToken cancellationToken)
    {
        var source = configuration.Source;
        await using var data = new NpgsqlSlimDataSourceBuilder(source.ToNpgsql() + ";Timeout=10;Command Timeout=10;Pooling=false").EnableTransportSecurity().Build();
        try
        {
            await using var command = data.CreateCommand(Facts);
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            await reader.ReadAsync(cancellationToken);
            var slots = reader.IsDBNull(6) ? [] : reader.GetString(6).Split(',');
            return
            [
                new DoctorCheck(Name, CheckOutcome.Ok, $"{source} answers, PostgreSQL {reader.GetInt32(0)}"),
                Primary(reader.GetBoolean(2)),
                WalLevel(reader.GetString(1), configuration.Streams.Count > 0),
                Replication(source, reader.GetBoolean(3)),
                FreeSlots(reader.GetInt32(4), configuration, slots),
                FreeSenders(reader.GetInt32(5), configuration),
                .. SameMajor(reader.GetInt32(0), configuration),
                .. configuration.Branching is null ? [] : ExtensionChecks.Compare(reader.GetInt32(0), reader.GetString(7).Split(','), reader.IsDBNull(8) ? "" : reader.GetString(8)),
            ];
        }
        catch (PostgresException exception)
        {
            return [new DoctorCheck(Name, CheckOutcome.Failed, $"{source} refuses: {exception.MessageText}", Advice(exception.SqlState))];
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException)
        {
            return
            [
                new DoctorCheck(
                    Name, CheckOutcome.Failed, $"cannot connect to {source}: {exception.InnerException?.Message ?? exception.Message}",
                    "check host and port in the URL, and that the server runs and listens there (listen_addresses, pg_hba.conf, firewall)"),
            ];
        }
    }

    static DoctorCheck Primary(bool inRecovery) => inRecovery
        ? new DoctorCheck("production is a primary", CheckOutcome.Failed, "the URL leads to a standby", "name the primary")
        : new DoctorCheck("production is a primary", CheckOutcome.Ok, "it takes writes");

    static DoctorCheck WalLevel(string level, bool streams)
    {
        var serves = level == "logical" || (level == "replica" && !streams);
        return new DoctorCheck(
            "wal_level", serves ? CheckOutcome.Ok : CheckOutcome.Failed, $"wal_level is {level}{(serves ? "" : $"; {(streams ? "streams need logical" : "branches need replica or logical")}")}",
            serves ? null : "on production: ALTER SYSTEM SET wal_level = 'logical'; then restart its server");
    }

    static DoctorCheck Replication(PostgresUrl source, bool allowed) => allowed
        ? new DoctorCheck("replication right", CheckOutcome.Ok, $"{source.User} may replicate")
        : new DoctorCheck("replication right", CheckOutcome.Failed, $"{source.User} may not replicate", $"on production, as a superuser: ALTER ROLE {SqlQuoting.Identifier(source.User)} REPLICATION;");

    static DoctorCheck FreeSlots(int free, TributaryConfiguration configuration, IReadOnlyCollection<string> existing)
    {
        // A slot that is ours from an earlier run is counted as used already.
        string[] wanted = [.. configuration.Streams.Select(stream => $"tributary_{stream.Name}"), .. configuration.Branching is { } branching ? [branching.SlotName] : Array.Empty<string>()];
        var needed = wanted.Except(existing).Count();
        return Free("replication slots", "max_replication_slots", free, needed);
    }

    // The base backup takes two connections beside the follower's and the streams'.
    static DoctorCheck FreeSenders(int free, TributaryConfiguration configuration) =>
        Free("wal senders", "max_wal_senders", free, configuration.Streams.Count + (configuration.Branching is null ? 0 : 2));

    static DoctorCheck Free(string name, string setting, int free, int needed) => free >= needed
        ? new DoctorCheck(name, CheckOutcome.Ok, $"{free} free, {needed} needed")
        : new DoctorCheck(name, CheckOutcome.Failed, $"{free} free, {needed} needed", $"on production: raise {setting}, then restart its server; or drop what is unused");

    // A standby by physical replication has the source's own major version: https://www.postgresql.org/docs/current/warm-standby.html
    static IEnumerable<DoctorCheck> SameMajor(int major, TributaryConfiguration configuration)
    {
        if (configuration.Branching is null)
            yield break;
        yield return PostgresInstallation.FindAll().Any(installation => installation.Major == major)
            ? new DoctorCheck("same version here", CheckOutcome.Ok, $"PostgreSQL {major} is installed here too")
            : new DoctorCheck("same version here", CheckOutcome.Failed, $"production is PostgreSQL {major}, which is not installed here; branches run its very version", $"apt-get install postgresql-{major}, or name the folder of its programs in TRIBUTARY_POSTGRES_BIN");
    }

    static string Advice(string sqlState) => sqlState switch
    {
        PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification => "check user and password in the URL, and pg_hba.conf on production",
        PostgresErrorCodes.InvalidCatalogName => "check the database's name at the end of the URL",
        PostgresErrorCodes.TooManyConnections => "production has no connection left; raise max_connections or close some",
        _ => "look at production's log",
    };
}

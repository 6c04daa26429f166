using System.Globalization;
using System.Net.Sockets;
using System.Security.Authentication;
using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Server.Diagnosis;

/// <summary>Asks production for its facts: one session and two queries, and one connection for replication when branches are to be made. Nothing is changed.</summary>
static class ProductionReader
{
    public const string CheckName = "production";

    /// <summary>For all queries together: each reads a few rows of the catalog.</summary>
    static readonly TimeSpan QueryLimit = TimeSpan.FromSeconds(10);

    const string InvalidPassword = "28P01";
    const string InvalidAuthorization = "28000";
    const string InvalidCatalogName = "3D000";
    const string TooManyConnections = "53300";

    const string Facts = """
        SELECT current_setting('server_version_num')::int / 10000, current_setting('server_version'), pg_is_in_recovery(), current_setting('wal_level'),
               r.rolsuper, r.rolsuper OR r.rolreplication,
               current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)::int,
               current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication)::int,
               (SELECT string_agg(slot_name::text, E'\n') FROM pg_replication_slots),
               (SELECT string_agg(extname::text, E'\n') FROM pg_extension),
               (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'),
               (SELECT setting = 'on' FROM pg_settings WHERE name = 'data_checksums'),
               (SELECT string_agg(spcname::text, E'\n') FROM pg_tablespace WHERE pg_tablespace_location(oid) LIKE '/%'),
               pg_encoding_to_char(d.encoding), d.datcollate,
               (SELECT string_agg(rolname::text, E'\n') FROM pg_roles
                WHERE rolname IN ('rds_superuser', 'cloudsqlsuperuser', 'alloydbsuperuser', 'azure_pg_admin', 'neon_superuser', 'supabase_admin')),
               host(inet_client_addr())
        FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()
        """;

    /// <summary>Since 15 a database has a provider and a version of its own; before, it sorts as the C library's collation of the same name does.</summary>
    const string CollationSince15 = "SELECT datlocprovider, pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = current_database()";

    const string CollationBefore15 = """
        SELECT 'c', (SELECT pg_collation_actual_version(c.oid) FROM pg_collation c WHERE c.collprovider = 'c' AND c.collcollate = d.datcollate LIMIT 1)
        FROM pg_database d WHERE datname = current_database()
        """;

    /// <param name="tryPhysical">Also tries whether a connection for physical replication is let in.</param>
    /// <returns>The facts, or the one check that has failed.</returns>
    public static async Task<(ProductionFacts? Facts, DoctorCheck? Failure)> ReadAsync(PostgresUrl source, bool tryPhysical, CancellationToken cancellationToken)
    {
        // The opening has a limit of its own, of each attempt with and without TLS.
        using var late = new CancellationTokenSource(Timeout.InfiniteTimeSpan, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            ProductionFacts facts;
            await using (var session = await ServerSession.OpenAsync(source, Parameters(replication: false), TimeProvider.System, cancellationToken))
            {
                late.CancelAfter(QueryLimit);
                facts = await ReadAsync(session, either.Token);
            }

            // What cannot succeed is not tried: the check of the right or of the senders says so already.
            return (tryPhysical && facts is { MayReplicate: true, FreeSenders: > 0 } ? facts with { PhysicalRefusal = await RefusalAsync(source, cancellationToken) } : facts, null);
        }
        catch (ServerErrorException exception)
        {
            return (null, Failed($"{source} refuses: {exception.Error.Message}", Advice(exception.SqlState)));
        }
        catch (SessionRefusedException exception)
        {
            return (null, Failed(exception.Message, null));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (null, Failed($"{source} did not answer within {QueryLimit.TotalSeconds:0} s", "look at what it is busy with, and try again"));
        }
        catch (Exception exception) when (exception is SocketException or IOException or TimeoutException or AuthenticationException)
        {
            return (null, Failed(
                $"cannot connect to {source}: {exception.Message}",
                "check host and port in the URL, and that the server runs and listens there (listen_addresses, pg_hba.conf, firewall)"));
        }
    }

    public static async Task<MachineFacts> ReadMachineAsync(CancellationToken cancellationToken)
    {
        // "glibc 2.36"; another C library has no such name, and then there is nothing to compare.
        string? libc;
        try
        {
            var asked = await ChildProcesses.RunAsync(new ChildProcessSpec("getconf", ["GNU_LIBC_VERSION"]), cancellationToken);
            libc = asked.Succeeded && asked.StandardOutput.Trim().Split(' ') is ["glibc", var version] ? version : null;
        }
        catch (ChildProcessException)
        {
            libc = null;
        }

        return new MachineFacts([.. PostgresInstallation.FindAll().Select(installation => installation.Major)], libc);
    }

    static async Task<ProductionFacts> ReadAsync(ServerSession session, CancellationToken cancellationToken)
    {
        var row = (await session.QueryAsync(Facts, cancellationToken))[0];
        var major = int.Parse(row[0]!, CultureInfo.InvariantCulture);
        var collation = (await session.QueryAsync(major >= 15 ? CollationSince15 : CollationBefore15, cancellationToken))[0];
        return new ProductionFacts
        {
            Major = major,
            Version = row[1]!,
            IsStandby = row[2] == "t",
            WalLevel = row[3]!,
            IsSuperuser = row[4] == "t",
            MayReplicate = row[5] == "t",
            FreeSlots = int.Parse(row[6]!, CultureInfo.InvariantCulture),
            FreeSenders = int.Parse(row[7]!, CultureInfo.InvariantCulture),
            Slots = Lines(row[8]),
            Extensions = Lines(row[9]),
            PreloadedLibraries = row[10],
            HasChecksums = row[11] == "t",
            Tablespaces = Lines(row[12]),
            Encoding = row[13]!,
            Collation = row[14]!,
            ServiceRoles = Lines(row[15]),
            ClientAddress = row[16],
            CollationProvider = collation[0] switch { "i" => "icu", "b" => "builtin", _ => "libc" },
            CollationVersion = collation[1],
        };
    }

    // The very connection that a base backup and a standby make; the answer to a question shows that it is one.
    static async Task<string?> RefusalAsync(PostgresUrl source, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(Timeout.InfiniteTimeSpan, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            await using var session = await ServerSession.OpenAsync(source, Parameters(replication: true), TimeProvider.System, cancellationToken);
            late.CancelAfter(QueryLimit);
            await session.QueryAsync("IDENTIFY_SYSTEM", either.Token);
            return null;
        }
        catch (ServerErrorException exception)
        {
            return exception.Error.Message;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"no answer within {QueryLimit.TotalSeconds:0} s";
        }
        catch (Exception exception) when (exception is SessionRefusedException or SocketException or IOException or TimeoutException or AuthenticationException)
        {
            return exception.Message;
        }
    }

    static SessionParameters Parameters(bool replication) => new("tributary", "", replication) { Physical = replication };

    static string[] Lines(string? text) => text?.Split('\n') ?? [];

    static DoctorCheck Failed(string detail, string? fix) => new(CheckName, CheckOutcome.Failed, detail, fix);

    static string Advice(string sqlState) => sqlState switch
    {
        InvalidPassword or InvalidAuthorization => "check user and password in the URL, and pg_hba.conf on production",
        InvalidCatalogName => "check the database's name at the end of the URL",
        TooManyConnections => "production has no connection left; raise max_connections or close some",
        _ => "look at production's log",
    };
}

using System.Net.Sockets;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Hosting;

/// <summary>Looks at both sides before a stream is started. It changes nothing.</summary>
public static class StreamPreflight
{
    /// <summary>Everything that is wrong, errors first; empty when the stream can start.</summary>
    public static async Task<IReadOnlyList<StreamFinding>> CheckAsync(StreamOptions options, CancellationToken cancellationToken)
    {
        var findings = new List<StreamFinding>();
        findings.AddRange(options.Validate().Select(error => new StreamFinding(FindingSeverity.Error, "options", error, "Correct the option.")));
        await using (var source = await TryOpenAsync("source", options.Source, findings, cancellationToken))
        {
            if (source is not null)
                await SourceChecks.RunAsync(source, options, findings, cancellationToken);
        }

        if (options.Stdout is not null)
            return [.. findings.OrderByDescending(finding => finding.Severity)];
        await using (var target = await TryOpenAsync("target", options.Target, findings, cancellationToken))
        {
            if (target is not null)
                await CheckTargetAsync(target, options, findings, cancellationToken);
        }

        return [.. findings.OrderByDescending(finding => finding.Severity)];
    }

    static async Task<NpgsqlConnection?> TryOpenAsync(string side, PostgresUrl url, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        try
        {
            return await SessionSettings.OpenAsync(SessionSettings.ConnectionString(url, "tributary check"), cancellationToken);
        }
        catch (NpgsqlException exception)
        {
            findings.Add(Unreachable(side, url, exception));
            return null;
        }
        catch (Exception exception) when (exception is SocketException or TimeoutException or IOException)
        {
            findings.Add(Unreachable(side, url, exception));
            return null;
        }
    }

    static StreamFinding Unreachable(string side, PostgresUrl url, Exception exception)
    {
        var (problem, remedy, sql) = exception switch
        {
            PostgresException { SqlState: "28P01" } => ($"the server refuses the password of {url.User}", "Correct the user or the password in the URL.", null),
            PostgresException { SqlState: "28000" } postgres => ($"the server refuses {url.User}: {postgres.MessageText}", "Correct the user in the URL, or let the role in by pg_hba.conf.", null),
            PostgresException { SqlState: "3D000" } => (
                $"the server has no database \"{url.Database}\"", "Correct the database in the URL, or create it.", $"CREATE DATABASE {SqlQuoting.Identifier(url.Database)};"),
            PostgresException { SqlState: "53300" } => ("the server has no free connection", "Raise max_connections, or close connections.", null),
            NpgsqlException when exception.Message.StartsWith("No password", StringComparison.Ordinal) => (
                $"the server asks for the password of {url.User}, and the URL has none", "Put the password into the URL.", (string?)null),
            _ => ($"no answer from {url.Host}:{url.Port} ({LostLink.Describe(exception)})", "Start the server, or correct host and port in the URL.", null),
        };
        return new StreamFinding(FindingSeverity.Error, $"{side} {url}", problem, remedy, sql);
    }

    static async Task CheckTargetAsync(NpgsqlConnection target, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        var subject = $"target {options.Target}";
        var role = SqlQuoting.Identifier(options.Target.User);
        try
        {
            await using var replica = new NpgsqlCommand("SET session_replication_role = replica", target);
            await replica.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Error, subject, $"the role {options.Target.User} may not set session_replication_role, so triggers would fire twice",
                "Let the role set it (Postgres 15 and later), or use a superuser.", $"GRANT SET ON PARAMETER session_replication_role TO {role};"));
        }

        await using var create = new NpgsqlCommand("SELECT pg_catalog.has_database_privilege(current_database(), 'CREATE')", target);
        if (!(bool)(await create.ExecuteScalarAsync(cancellationToken))!)
        {
            findings.Add(new StreamFinding(
                FindingSeverity.Error, subject, $"the role {options.Target.User} may not create schemas in the database", "Grant it.",
                $"GRANT CREATE ON DATABASE {SqlQuoting.Identifier(options.Target.Database)} TO {role};"));
        }
    }
}

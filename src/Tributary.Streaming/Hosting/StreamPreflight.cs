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
        await using var source = await TryOpenAsync("source", options.Source, findings, cancellationToken);
        if (source is not null)
            await CheckSourceAsync(source, options, findings, cancellationToken);

        await using var target = options.Stdout is null ? await TryOpenAsync("target", options.Target, findings, cancellationToken) : null;
        if (target is not null)
            await TargetChecks.RunAsync(target, options, findings, cancellationToken);
        if (source is not null && target is not null)
            await ComparisonChecks.RunAsync(source, target, options, findings, cancellationToken);
        return [.. findings.OrderByDescending(finding => finding.Severity)];
    }

    /// <summary>The same of the source alone, for a target that is still to be made.</summary>
    public static async Task<IReadOnlyList<StreamFinding>> CheckSourceAsync(StreamOptions options, CancellationToken cancellationToken)
    {
        var findings = new List<StreamFinding>();
        await using var source = await TryOpenAsync("source", options.Source, findings, cancellationToken);
        if (source is not null)
            await CheckSourceAsync(source, options, findings, cancellationToken);
        return [.. findings.OrderByDescending(finding => finding.Severity)];
    }

    static async Task CheckSourceAsync(NpgsqlConnection source, StreamOptions options, List<StreamFinding> findings, CancellationToken cancellationToken)
    {
        await SourceChecks.RunAsync(source, options, findings, cancellationToken);
        await TableChecks.RunAsync(source, options, findings, cancellationToken);
        await RetentionChecks.RunAsync(source, options, findings, cancellationToken);
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
}

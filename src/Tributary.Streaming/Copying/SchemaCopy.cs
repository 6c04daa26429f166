using System.Text.RegularExpressions;
using Tributary.Postgres.Programs;

namespace Tributary.Streaming.Copying;

/// <summary>
/// Carries the schema with Postgres's own programs: <c>pg_dump</c> knows every kind of object, in the order in which they can be made.
/// Owners and grants stay out, since the target need not have the source's roles.
/// </summary>
internal sealed partial class SchemaCopy(StreamOptions options, PostgresInstallation programs, CopyFence fence)
{
    // psql's exit code when the connection went bad (https://www.postgresql.org/docs/current/app-psql.html#R2-APP-PSQL-3).
    const int ConnectionLost = 2;

    public async Task<string> DumpAsync(string section, string snapshot, CancellationToken cancellationToken)
    {
        var result = await ChildProcesses.RunAsync(
            new ChildProcessSpec(programs.Program("pg_dump"),
            [
                "--schema-only", $"--section={section}", $"--snapshot={snapshot}", "--no-owner", "--no-privileges", "--no-publications",
                "--no-subscriptions", "--exclude-schema=tributary",
            ])
            { Environment = options.Source.ToEnvironment(), ParentDeathSignal = "KILL" }, cancellationToken);
        if (result.Succeeded)
            return Portable(OwnEventTriggers().Replace(result.StandardOutput, ""));
        // It reads catalogs alone, so its words hold no row.
        var words = result.StandardError.Trim();
        if (words.Contains("closed the connection", StringComparison.Ordinal) || words.Contains("connection to server", StringComparison.Ordinal))
            throw new IOException($"pg_dump lost the source: {words}");
        throw new StreamException(StreamErrorKind.Source, $"pg_dump of the source's schema failed: {words}");
    }

    // The first lines of a dump set parameters of pg_dump's own version. Servers before 17 lack this one, and one that has it must not let a
    // role's own value end the restore.
    static string Portable(string dump)
    {
        const string Newer = "\nSET transaction_timeout = 0;\n";
        var place = dump.IndexOf(Newer, StringComparison.Ordinal);
        return place < 0
            ? dump
            : $"{dump[..place]}\nSELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout';\n{dump[(place + Newer.Length)..]}";
    }

    /// <summary>Makes the objects that come before the rows, and records them, in one transaction.</summary>
    public Task RestoreBeforeRowsAsync(string dump, CancellationToken cancellationToken) => RestoreAsync(
        $"{CopiedObjectsScript.Before}{dump}\n{CopiedObjectsScript.Record(options.Name)}{CopiedObjectsScript.RelaxIdentities(options.Name)}", cancellationToken);

    /// <summary>Runs the script in one transaction.</summary>
    public async Task RestoreAsync(string script, CancellationToken cancellationToken)
    {
        var result = await ChildProcesses.RunAsync(
            new ChildProcessSpec(programs.Program("psql"), ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose", "--file=-"])
            {
                Environment = new Dictionary<string, string>(options.Target.ToEnvironment()) { ["PGOPTIONS"] = "-c client_min_messages=warning" },
                StandardInput = $"{CopiedObjectsScript.Begin}{script}\n{fence.Sql}\nCOMMIT;\n",
                ParentDeathSignal = "KILL",
            }, cancellationToken);
        if (!result.Succeeded)
            throw Refused(result);
    }

    Exception Refused(ChildProcessResult result)
    {
        if (result.ExitCode == ConnectionLost)
            return new IOException("psql lost the connection to the target.");
        var error = ServerError().Match(result.StandardError);
        var state = error.Groups["state"].Value;
        if (state == "22012")
            return fence.Lost();
        if (LostLink.IsPassing(state))
            return new IOException($"The target broke off the schema's restore: {LostLink.Describe(state, error.Groups["message"].Value)}");
        // Detail and context lines may repeat a row, as when a unique index cannot be made.
        var words = error.Success ? LostLink.Describe(state, error.Groups["message"].Value) : result.StandardError.Split('\n')[0];
        return new StreamException(StreamErrorKind.Target, $"The source's schema cannot be made in the target {options.Target}: {words}");
    }

    /// <summary>The programs to use with a source of the given version: pg_dump refuses servers newer than itself.</summary>
    public static PostgresInstallation ProgramsFor(int sourceMajor) =>
        PostgresInstallation.FindAll().LastOrDefault(installation => installation.Major >= sourceMajor && installation.Has("pg_dump") && installation.Has("psql")) ?? throw new StreamException(
            StreamErrorKind.Configuration,
            $"The source is PostgreSQL {sourceMajor}, and this machine has no pg_dump of that version or newer. " +
            $"Install it (Debian: apt-get install postgresql-client-{sourceMajor}), or name its folder in TRIBUTARY_POSTGRES_BIN.");

    // pg_dump has no option that leaves these out, and what they call lies in the schema that is left out.
    [GeneratedRegex(@"^(CREATE|ALTER) EVENT TRIGGER tributary_ddl_\w+ [^;]*;$", RegexOptions.Multiline)]
    private static partial Regex OwnEventTriggers();

    [GeneratedRegex(@"(ERROR|FATAL|PANIC):\s+(?<state>[0-9A-Z]{5}): (?<message>.*)")]
    private static partial Regex ServerError();
}

using Tributary.Postgres.Programs;

namespace Tributary.Streaming.Copying;

/// <summary>
/// Carries the schema with Postgres's own programs: <c>pg_dump</c> knows every kind of object, in the order in which they can be made.
/// Owners and grants stay out, since the target need not have the source's roles.
/// </summary>
internal sealed class SchemaCopy(StreamOptions options, PostgresInstallation programs)
{
    public async Task<string> DumpAsync(string section, string snapshot, CancellationToken cancellationToken)
    {
        var result = await ChildProcesses.RunAsync(
            new ChildProcessSpec(programs.Program("pg_dump"),
            [
                "--schema-only", $"--section={section}", $"--snapshot={snapshot}", "--no-owner", "--no-privileges", "--no-publications",
                "--no-subscriptions", "--exclude-schema=tributary",
            ])
            { Environment = options.Source.ToEnvironment() }, cancellationToken);
        return result.Succeeded
            ? result.StandardOutput
            : throw new StreamException(StreamErrorKind.Source, $"pg_dump of the source's schema failed: {result.StandardError.Trim()}");
    }

    /// <summary>Makes the objects that come before the rows, and records them, in one transaction.</summary>
    public Task RestoreBeforeRowsAsync(string dump, CancellationToken cancellationToken) =>
        RestoreAsync($"{CopiedObjectsScript.Before}\n{dump}\n{CopiedObjectsScript.After(options.Name)}", cancellationToken);

    public async Task RestoreAsync(string script, CancellationToken cancellationToken)
    {
        var result = await ChildProcesses.RunAsync(
            new ChildProcessSpec(programs.Program("psql"), ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--file=-"])
            {
                Environment = new Dictionary<string, string>(options.Target.ToEnvironment()) { ["PGOPTIONS"] = "-c client_min_messages=warning" },
                StandardInput = script,
            }, cancellationToken);
        if (!result.Succeeded)
        {
            throw new StreamException(
                StreamErrorKind.Target,
                $"The source's schema cannot be made in the target {options.Target}: {result.StandardError.Trim()}");
        }
    }

    /// <summary>The programs to use with a source of the given version: pg_dump refuses servers newer than itself.</summary>
    public static PostgresInstallation ProgramsFor(int sourceMajor) =>
        PostgresInstallation.FindAll().LastOrDefault(installation => installation.Major >= sourceMajor) ?? throw new StreamException(
            StreamErrorKind.Configuration,
            $"The source is PostgreSQL {sourceMajor}, and this machine has no pg_dump of that version or newer. " +
            $"Install it (Debian: apt-get install postgresql-client-{sourceMajor}), or name its folder in TRIBUTARY_POSTGRES_BIN.");
}

using Tributary.Branching.Compute;
using Tributary.Branching.Following;
using Tributary.Branching.Importing;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>psql and pg_restore on a dump, each in a sandbox.</summary>
internal static class DumpPrograms
{
    /// <summary>Of what a program prints when it fails; the first trouble ends it, so the rest is its context.</summary>
    const int LastLines = 6;

    const int LineCharsMax = 300;

    /// <summary>Restores a dump into an empty database; answers why not, or null.</summary>
    /// <param name="socketDirectory">Of the server, which trusts its superuser there.</param>
    /// <exception cref="ChildProcessException">The program could not be started.</exception>
    /// <exception cref="InvalidOperationException">It is not installed.</exception>
    public static async Task<BranchError?> RestoreAsync(DumpFile dump, string socketDirectory, string database, CancellationToken cancellationToken)
    {
        string[] server = ["--host", Sandbox.SocketDirectory, "--username", OwnMain.Superuser, "--no-password", "--dbname", database];
        var (program, arguments) = dump.Format == DumpFormat.Plain
            ? ("psql", (string[])["--no-psqlrc", "--quiet", "--output", "/dev/null", "--set", "ON_ERROR_STOP=1", "--set", "VERBOSITY=terse", .. server, "--file", "-"])
            : ("pg_restore", ["--exit-on-error", "--no-tablespaces", .. server, .. Input(dump)]);
        var result = await ClientSandbox.RunAsync(Installation(program), program, arguments, socketDirectory, dump.Path, cancellationToken);
        if (result.Succeeded)
            return null;
        var lines = result.StandardError.Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(LastLines).Select(line => line.Length > LineCharsMax ? line[..LineCharsMax] + "…" : line).ToList();
        var error = BranchError.OfStorage(new ChildProcessException($"{program} could not restore {dump.Path} (exit code {result.ExitCode}): {string.Join(" | ", lines)}"));
        var roleIsMissing = lines.Exists(line => line.Contains("role \"", StringComparison.Ordinal) && line.Contains("\" does not exist", StringComparison.Ordinal));
        return error.Kind == BranchErrorKind.PoolFull ? error
            : new BranchError(BranchErrorKind.InvalidRequest, $"{error.Message} Main is as it was.{(roleIsMissing ? " --create-roles makes the roles that the dump names." : "")}");
    }

    /// <summary>The roles that a dump gives things to.</summary>
    /// <exception cref="ChildProcessException">The program could not be started, or the dump is damaged.</exception>
    /// <exception cref="InvalidOperationException">It is not installed.</exception>
    public static async Task<IReadOnlySet<string>> RolesAsync(DumpFile dump, CancellationToken cancellationToken)
    {
        if (dump.Format == DumpFormat.Plain)
        {
            using var text = File.OpenText(dump.Path);
            return DumpRoles.Find(text);
        }

        var schema = await ClientSandbox.RunAsync(Installation("pg_restore"), "pg_restore", ["--schema-only", "--file", "-", .. Input(dump)], null, dump.Path, cancellationToken);
        using var sql = new StringReader(schema.EnsureSucceeded($"pg_restore of {dump.Path}").StandardOutput);
        return DumpRoles.Find(sql);
    }

    static string[] Input(DumpFile dump) => dump.Format == DumpFormat.Directory ? [ClientSandbox.InputDirectory] : [];

    // A newer program reads what an older one wrote, and speaks to an older server; not the other way round.
    static PostgresInstallation Installation(string program) => PostgresInstallation.FindAll().FirstOrDefault(found => ClientSandbox.CanRun(found.Program(program)))
        ?? throw new InvalidOperationException($"No PostgreSQL installation on this machine has the program {program}. Install it (Debian: apt-get install postgresql-client).");
}

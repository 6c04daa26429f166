using System.Globalization;
using System.Runtime.InteropServices;
using Tributary.Contracts;
using Tributary.Postgres.Programs;

namespace Tributary.Cli.Programs;

/// <summary>Replaces this process by psql on a branch. The password goes by the environment: arguments are visible to every user of the machine.</summary>
static partial class Psql
{
    public static string? Find() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries)
        .Concat(PostgresInstallation.FindAll().Select(installation => installation.BinDirectory))
        .Select(folder => Path.Combine(folder, "psql")).FirstOrDefault(File.Exists);

    /// <summary>Returns only on failure, with the reason.</summary>
    public static string Become(string program, BranchResponse branch, IReadOnlyList<string> arguments)
    {
        // The runtime keeps an environment of its own; the C library's is the one that psql inherits.
        Set("PGHOST", branch.Host);
        Set("PGPORT", branch.Port.ToString(CultureInfo.InvariantCulture));
        Set("PGUSER", branch.User);
        Set("PGDATABASE", branch.Database);
        Set("PGPASSWORD", new Uri(branch.Url).UserInfo.Split(':', 2) is [_, var password] ? Uri.UnescapeDataString(password) : "");
        Set("PGOPTIONS", $"branch={branch.Name}");
        // The runtime ignores SIGPIPE, and what is ignored stays so across exec: `connect -- -c … | head` would not end.
        _ = signal(SigPipe, 0);
        execv(program, ["psql", .. arguments, null]);
        return Marshal.GetLastPInvokeErrorMessage();
    }

    // Source: signal(7) for Linux; SIG_DFL is 0.
    const int SigPipe = 13;

    static void Set(string name, string value) => _ = setenv(name, value, 1);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);

    [LibraryImport("libc")]
    private static partial nint signal(int signal, nint handler);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int execv(string path, string?[] arguments);
}

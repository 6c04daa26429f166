using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// Runs a client program of Postgres in a sandbox that sees one server's socket and nothing else of the machine: a dump is a program for psql, which
/// can start others.
/// </summary>
internal static class ClientSandbox
{
    /// <summary>Where the program finds a folder that it reads.</summary>
    public const string InputDirectory = "/dump";

    /// <summary>Whether the program is there and is one by itself: a script would need a shell, which is not in the sandbox.</summary>
    public static bool CanRun(string program)
    {
        if (!File.Exists(program))
            return false;
        using var file = File.OpenRead(program);
        Span<byte> mark = stackalloc byte[4];
        // The ELF specification, e_ident.
        return file.ReadAtLeast(mark, mark.Length, throwOnEndOfStream: false) == mark.Length && mark.SequenceEqual("\u007fELF"u8);
    }

    /// <param name="installation">Whose program it is.</param>
    /// <param name="program">Its name, for example <c>psql</c>.</param>
    /// <param name="socketDirectory">The server's; it is <see cref="Sandbox.SocketDirectory"/> for the program. Null for none.</param>
    /// <param name="input">A file that becomes its standard input, or a folder that it finds at <see cref="InputDirectory"/>.</param>
    /// <exception cref="ChildProcessException">It could not be started.</exception>
    public static Task<ChildProcessResult> RunAsync(
        PostgresInstallation installation, string program, IReadOnlyList<string> arguments, string? socketDirectory, string input, CancellationToken cancellationToken)
    {
        var isFolder = Directory.Exists(input);
        return ChildProcesses.RunAsync(
            new ChildProcessSpec(Sandbox.Program,
            [
                .. Sandbox.Machine(installation),
                .. socketDirectory is null ? Array.Empty<string>() : ["--bind", socketDirectory, Sandbox.SocketDirectory],
                .. isFolder ? ["--ro-bind", input, InputDirectory] : Array.Empty<string>(),
                "--remount-ro", "/", "--chdir", "/", "--", installation.Program(program), .. arguments,
            ])
            {
                AsPostgresUser = true,
                InputFile = isFolder ? null : input,
            }, cancellationToken);
    }
}

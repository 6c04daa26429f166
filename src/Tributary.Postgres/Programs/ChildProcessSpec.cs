namespace Tributary.Postgres.Programs;

/// <summary>What to run.</summary>
/// <param name="Program">Absolute path, or a name to be found on PATH.</param>
/// <param name="Arguments">Passed as they are; no shell is involved.</param>
public sealed record ChildProcessSpec(string Program, IReadOnlyList<string> Arguments)
{
    /// <summary>Added to the inherited environment. Secrets go here, never into <see cref="Arguments"/>: those are visible to every user.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>When Tributary runs as root, the program runs as the operating-system user <c>postgres</c>: the server refuses to run as root.</summary>
    public bool AsPostgresUser { get; init; }

    /// <summary>
    /// The signal that the kernel sends to the child when Tributary dies, even by SIGKILL; null leaves the child running.
    /// For a postmaster SIGQUIT is an immediate shutdown (https://www.postgresql.org/docs/current/server-shutdown.html).
    /// </summary>
    public string? ParentDeathSignal { get; init; }

    /// <summary>Written to the child's standard input, which is then closed.</summary>
    public string? StandardInput { get; init; }

    /// <summary>
    /// A file that is its standard input, opened with this process's rights, so that the program may seek in it and its user need not be able to
    /// open it.
    /// </summary>
    public string? InputFile { get; init; }

    /// <summary>Called with each piece of standard error as it arrives, for programs that report progress there.</summary>
    public Action<string>? OnErrorText { get; init; }

    /// <summary>A file that receives standard output and standard error of a long-running child.</summary>
    public string? LogFile { get; init; }

    /// <summary>
    /// The <c>cgroup.procs</c> files of the control groups that a long-running child with a <see cref="LogFile"/> enters before it runs, still
    /// with this process's rights. A group that cannot be entered ends the child: nothing runs outside its limits.
    /// </summary>
    public IReadOnlyList<string> ControlGroupFiles { get; init; } = [];
}

/// <summary>How a finished program ended.</summary>
public sealed record ChildProcessResult(int ExitCode, string StandardOutput, string StandardError)
{
    public bool Succeeded => ExitCode == 0;

    /// <summary>Throws with the program's own last words when it failed.</summary>
    /// <exception cref="ChildProcessException">The exit code is not 0.</exception>
    public ChildProcessResult EnsureSucceeded(string what) => Succeeded
        ? this
        : throw new ChildProcessException($"{what} failed (exit code {ExitCode}): {LastWords(StandardError, StandardOutput)}");

    static string LastWords(string error, string output)
    {
        const int MessageCharsMax = 2000;
        var text = (error.Trim().Length > 0 ? error : output).Trim();
        return text.Length > MessageCharsMax ? text[^MessageCharsMax..] : text;
    }
}

/// <summary>A program that Tributary runs has failed; the message says which, how and what it printed.</summary>
public sealed class ChildProcessException(string message) : Exception(message);

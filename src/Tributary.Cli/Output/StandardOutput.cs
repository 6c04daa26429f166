using Microsoft.Win32.SafeHandles;

namespace Tributary.Cli.Output;

/// <summary>Standard output as bytes.</summary>
static class StandardOutput
{
    /// <summary>
    /// The file descriptor itself. The console's own stream takes what is written to a pipe without a reader for written
    /// (ConsolePal.Unix.cs in the .NET runtime), and a stream would then save a position behind lines that nobody has got.
    /// </summary>
    public static FileStream Open() => new(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0);
}

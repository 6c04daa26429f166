using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tributary.Branching.Storage;

/// <summary>Opens files that others may have put there, and makes requests to a file system about one file or folder (ioctl(2)).</summary>
internal static partial class FileControl
{
    // O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC of the platforms that .NET runs on under Linux; ARM has another O_NOFOLLOW.
    static readonly int _openFlags = 0x80800 | (RuntimeInformation.ProcessArchitecture is Architecture.Arm or Architecture.Arm64 ? 0x8000 : 0x20000);

    /// <summary>
    /// Opens a file or a folder to read it. Whoever owns a branch's files may have put something else in their place: a link is refused, and a pipe
    /// does not wait for its writer.
    /// </summary>
    /// <exception cref="IOException">The kernel refused it; the message says why.</exception>
    public static SafeFileHandle Open(string path)
    {
        var file = OpenFile(path, _openFlags);
        return file.IsInvalid ? throw new IOException(Marshal.GetLastPInvokeErrorMessage()) : file;
    }

    /// <param name="argument">The first byte of the structure that the request takes, and may fill.</param>
    /// <exception cref="IOException">The kernel refused it; the message says why.</exception>
    public static void Request(SafeFileHandle file, nuint request, ref byte argument)
    {
        if (Control(file, request, ref argument) != 0)
            throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    // Variadic in C; the last argument of either is passed in the same register on the platforms that .NET runs on under Linux.
    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, nuint request, ref byte argument);
}

using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tributary.Branching.Storage;

/// <summary>Requests to a file system about one file or folder (ioctl(2)).</summary>
internal static partial class FileControl
{
    /// <param name="argument">The first byte of the structure that the request takes, and may fill.</param>
    /// <exception cref="IOException">The kernel refused it; the message says why.</exception>
    public static void Request(SafeFileHandle file, nuint request, ref byte argument)
    {
        if (Control(file, request, ref argument) != 0)
            throw new IOException(Marshal.GetLastPInvokeErrorMessage());
    }

    // Variadic in C; its one argument is passed in the same register on the platforms that .NET runs on under Linux.
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(SafeFileHandle file, nuint request, ref byte argument);
}

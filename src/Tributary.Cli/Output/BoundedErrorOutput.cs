using System.Text;
using Tributary.Server;

namespace Tributary.Cli.Output;

/// <summary>Standard error that goes to a <see cref="ServerLog"/>: passes everything on and keeps the file within its bound.</summary>
sealed class BoundedErrorOutput(TextWriter inner, ServerLog log) : TextWriter
{
    /// <summary>Looking at the file's size costs a system call; between two looks it exceeds its bound by no more than this.</summary>
    const int CharsBetweenLooks = 256 * 1024;

    int _written;

    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => inner.Write(value);

    public override void WriteLine(string? value)
    {
        inner.WriteLine(value);
        _written += value?.Length ?? 0;
        if (_written < CharsBetweenLooks)
            return;
        _written = 0;
        try
        {
            log.Bound();
        }
        catch (IOException)
        {
            // A log that cannot be cut is a full disk, which the parts of the server tell of; the log goes on.
        }
    }
}

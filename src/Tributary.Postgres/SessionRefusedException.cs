namespace Tributary.Postgres;

/// <summary>A session cannot be opened as the URL asks, and a new attempt would fail alike. The message says why and what to change; it holds no password.</summary>
public sealed class SessionRefusedException(string message, Exception? innerException = null) : Exception(message, innerException);

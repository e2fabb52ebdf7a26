from dockd.reader.worker import main

main()

<?php
// Workerman as its manual shows it, one worker: AUTOLOAD=vendor/autoload.php PORT=8000 php workerman_echo.php start

require_once getenv('AUTOLOAD');

use Workerman\Worker;

$worker = new Worker('tcp://127.0.0.1:' . getenv('PORT'));
$worker->count = 1;
$worker->onMessage = function ($connection, $data) {
    $connection->send($data);
};
Worker::$pidFile = getenv('PLACE') . '/workerman.pid';
Worker::$logFile = getenv('PLACE') . '/workerman.log';
Worker::$statusFile = getenv('PLACE') . '/workerman.status';
Worker::runAll();
